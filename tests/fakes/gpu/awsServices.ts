/** AWS's services of JSON beside EC2: SageMaker's training, quotas, the price list, logs. */
import { kinds } from "./awsKinds.ts";
import { lost, type Cloud, type Heard, type Reply, type Thing } from "./cloud.ts";

export type ServiceState = { readonly cloud: Cloud; readonly quotas: ReadonlyMap<string, number> };
type Asked = { readonly service: string; readonly region: string; readonly heard: Heard; readonly isKnown: boolean };
type Body = Readonly<Record<string, unknown>>;
const pageSize = 2;

export function awsService({ cloud, quotas }: ServiceState, { service, region, heard, isKnown }: Asked): Reply | typeof lost {
  if (!isKnown || cloud.is("keyRevoked"))
    return jsonError(400, "UnrecognizedClientException", "The security token included in the request is invalid.");
  if (cloud.is("down")) return jsonError(500, "InternalFailure", "The request processing has failed.");
  if (cloud.is("rateLimited") || cloud.is("rateLimitedSilently")) return jsonError(400, "ThrottlingException", "Rate exceeded");
  const target = String(heard.headers["x-amz-target"]);
  const body = JSON.parse(heard.body) as Body;
  const targets: Readonly<Record<string, string>> = {
    sagemaker: "SageMaker",
    servicequotas: "ServiceQuotasV20190624",
    pricing: "AWSPriceListService",
    logs: "Logs_20140328",
    ce: "AWSInsightsIndexService",
  };
  const [prefix, operation = ""] = target.split(".");
  if (prefix !== targets[service]) return jsonError(400, "UnknownOperationException", target);
  switch (operation) {
    case "ListServiceQuotas":
      return paged(
        body,
        "Quotas",
        [...quotas].map(([name, value]) => ({ QuotaName: name, QuotaCode: codes[name] ?? "L-0", Value: value })),
      );
    case "GetProducts":
      if (cloud.is("pricesDown")) return jsonError(500, "InternalErrorException", "An error on the server occurred.");
      return paged(body, "PriceList", products(body));
    case "GetCostAndUsage":
      return costs(cloud, body);
    case "CreateTrainingJob":
      return createJob(cloud, region, body);
    case "DescribeTrainingJob":
    case "StopTrainingJob": {
      const job = cloud.things.find((one) => one.id === body["TrainingJobName"] && one.place === region);
      const isHidden =
        job && cloud.is("describeMissingAtFirst") && cloud.now() - job.bornAt < 20_000 && operation === "DescribeTrainingJob";
      if (!job || isHidden) return jsonError(400, "ValidationException", "Requested resource not found.");
      return operation === "StopTrainingJob" ? stopJob(cloud, job) : json(jobOf(job, cloud));
    }
    case "ListTrainingJobs":
      return paged(
        body,
        "TrainingJobSummaries",
        cloud
          .listed(2_000)
          .filter(
            (one) =>
              one.asked["isJob"] === true &&
              one.place === region &&
              one.name.includes((body["NameContains"] as string | undefined) ?? ""),
          )
          .map((one) => jobOf(one, cloud)),
      );
    case "DescribeLogStreams":
      return json({ logStreams: [{ logStreamName: `${String(body["logStreamNamePrefix"])}algo-1` }] });
    case "GetLogEvents":
      return json({ events: body["nextToken"] === undefined ? [{ message: "step 1" }] : [], nextForwardToken: "f/1" });
    default:
      return jsonError(400, "UnknownOperationException", operation);
  }
}

const codes: Readonly<Record<string, string>> = {
  "Running On-Demand G and VT instances": "L-DB2E81BA",
  "Running On-Demand P instances": "L-417A185B",
};

function products(body: Body): string[] {
  const filters = (body["Filters"] as readonly { Type: string; Field: string; Value: string }[]) ?? [];
  const byField = new Map(filters.map((one) => [one.Field, one]));
  const isTraining = body["ServiceCode"] === "AmazonSageMaker";
  const field = isTraining ? "instanceName" : "instanceType";
  const asked = byField.get(field)?.Value.split(",") ?? [];
  return asked.flatMap((type) => {
    const kind = kinds[isTraining ? type.replace(/^ml\./, "") : type];
    if (!kind) return [];
    const dollars = (kind.hourly * (isTraining ? 1.25 : 1)).toFixed(10);
    return [
      JSON.stringify({
        product: {
          productFamily: isTraining ? "ML Instance" : "Compute Instance",
          attributes: { [field]: type, regionCode: byField.get("regionCode")?.Value },
        },
        serviceCode: body["ServiceCode"],
        terms: {
          OnDemand: {
            "SKU.JRTCKXETXF": {
              priceDimensions: { "SKU.JRTCKXETXF.6YS6EN2CT7": { unit: "Hrs", pricePerUnit: { USD: dollars } } },
            },
          },
        },
        version: "20261101000000",
        publicationDate: "2026-11-01T00:00:00Z",
      }),
    ];
  });
}

/** By day, and by what stands in a tag: its name, a dollar sign and its value, which is empty for what bears none. Some days at a time. */
function costs(cloud: Cloud, body: Body): Reply {
  const { Start, End } = body["TimePeriod"] as { Start: string; End: string };
  const [group] = body["GroupBy"] as readonly { Type: string; Key: string }[];
  if (!(Start < End)) return jsonError(400, "ValidationException", "Start date (and hour) should be before end date (and hour)");
  const days: string[] = [];
  for (let at = Date.parse(Start); at < Date.parse(End); at += 86_400_000) days.push(new Date(at).toISOString().slice(0, 10));
  const from = Number(body["NextPageToken"] ?? 0);
  const results = days.slice(from, from + pageSize).map((day) => {
    const sums = new Map<string, number>();
    for (const { thing, micros } of cloud.bill().filter((one) => one.day === day)) {
      const request = thing.asked["body"] as { Tags?: readonly { Key: string; Value: string }[] } | undefined;
      const value = thing.tags[group?.Key ?? ""] ?? request?.Tags?.find(({ Key }) => Key === group?.Key)?.Value ?? "";
      sums.set(`${group?.Key}$${value}`, (sums.get(`${group?.Key}$${value}`) ?? 0) + micros);
    }
    const unit = cloud.billCurrency("USD");
    return {
      TimePeriod: { Start: day, End: new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10) },
      Total: {},
      Groups: [...sums].map(([key, micros]) => ({
        Keys: [key],
        Metrics: { UnblendedCost: { Amount: (micros / 1e6).toFixed(10), Unit: unit } },
      })),
      Estimated: true,
    };
  });
  return json({
    ResultsByTime: results,
    GroupDefinitions: body["GroupBy"],
    DimensionValueAttributes: [],
    ...(from + pageSize < days.length ? { NextPageToken: String(from + pageSize) } : {}),
  });
}

function createJob(cloud: Cloud, region: string, body: Body): Reply | typeof lost {
  const name = String(body["TrainingJobName"]);
  const resources = body["ResourceConfig"] as { InstanceType?: string } | undefined;
  const type = resources?.InstanceType ?? "";
  const kind = kinds[type.replace(/^ml\./, "")];
  const seconds = (body["StoppingCondition"] as { MaxRuntimeInSeconds?: number } | undefined)?.MaxRuntimeInSeconds;
  if (
    !kind ||
    body["RoleArn"] === undefined ||
    body["OutputDataConfig"] === undefined ||
    seconds === undefined ||
    name.length > 63
  )
    return jsonError(400, "ValidationException", "1 validation error detected");
  if (cloud.take("createReplyLostBefore")) return lost;
  if (cloud.things.some((one) => one.id === name))
    return jsonError(400, "ResourceInUse", "Training job names must be unique within an AWS account and region");
  if (cloud.is("noCapacity")) return jsonError(400, "CapacityError", "Unable to provision requested ML compute capacity.");
  if (cloud.is("quota"))
    return jsonError(
      400,
      "ResourceLimitExceeded",
      `The account-level service limit '${type} for training job usage' is 0 Instances`,
    );
  const job = cloud.add({
    id: name,
    name,
    place: region,
    type,
    tags: {},
    isSpot: false,
    hourlyMicros: Math.round(kind.hourly * 1.25 * 1_000_000),
    ttlAt: cloud.now() + seconds * 1_000,
    asked: { isJob: true, body },
  });
  if (cloud.take("createReplyLostAfter")) return lost;
  if (cloud.take("createErrorButExists")) return jsonError(500, "InternalFailure", "The request processing has failed.");
  return json({ TrainingJobArn: `arn:aws:sagemaker:${region}:111122223333:training-job/${job.name}` });
}

function stopJob(cloud: Cloud, job: Thing): Reply {
  if (cloud.is("terminateFails")) return jsonError(500, "InternalFailure", "The request processing has failed.");
  if (cloud.stateOf(job) === "gone")
    return jsonError(400, "ValidationException", "The request was rejected because the training job is in status Stopped.");
  if (cloud.take("terminateMissing")) {
    cloud.end(job, "us");
    return jsonError(400, "ValidationException", "Requested resource not found.");
  }
  cloud.end(job, "us");
  return json({});
}

function jobOf(job: Thing, cloud: Cloud): object {
  const state = cloud.stateOf(job);
  const isOver = state === "gone";
  return {
    TrainingJobName: job.name,
    TrainingJobStatus: isOver
      ? job.wentBy === "elsewhere"
        ? "Failed"
        : "Stopped"
      : state === "ending"
        ? "Stopping"
        : "InProgress",
    SecondaryStatus: isOver
      ? job.wentBy === "vendor"
        ? "MaxRuntimeExceeded"
        : "Stopped"
      : state === "booting"
        ? "Starting"
        : "Training",
    CreationTime: job.bornAt / 1000,
    ResourceConfig: { InstanceType: job.type },
    ...(isOver ? { BillableTimeInSeconds: Math.round(((job.goneAt ?? job.bornAt) - job.bornAt) / 1000) } : {}),
  };
}

function paged(body: Body, name: string, all: readonly unknown[]): Reply {
  const from = Number(body["NextToken"] ?? 0);
  return json({
    [name]: all.slice(from, from + pageSize),
    ...(from + pageSize < all.length ? { NextToken: String(from + pageSize) } : {}),
  });
}

const type = { "content-type": "application/x-amz-json-1.1" };
const json = (body: object): Reply => ({ status: 200, headers: type, body: JSON.stringify(body) });
const jsonError = (status: number, code: string, message: string): Reply => ({
  status,
  headers: type,
  body: JSON.stringify({ __type: `com.amazonaws#${code}`, message }),
});

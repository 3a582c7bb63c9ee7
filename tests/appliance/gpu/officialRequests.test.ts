import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { jobRequest } from "../../../appliance/gpu/aws/training.ts";
import { jobBody as azureJob, machineBody, networkBody, sshBody } from "../../../appliance/gpu/azure/bodies.ts";
import { instanceBody } from "../../../appliance/gpu/google/compute.ts";
import { jobBody as vertexJob } from "../../../appliance/gpu/google/vertex.ts";
import { intentFor, now } from "../../fixtures/gpu/intent.ts";

const { requests } = JSON.parse(readFileSync(new URL("../../fixtures/gpu/officialRequests.json", import.meta.url), "utf8")) as {
  requests: Readonly<Record<string, Record<string, unknown>>>;
};
const [vertex, azureml, sagemaker] = [intentFor("vertex"), intentFor("azureml"), intentFor("sagemaker")];

for (const [name, ours] of Object.entries({
  "google.instances.insert": instanceBody(intentFor("google"), "projects/x/global/images/y", {
    now,
    machineAccount: "m@p.iam.gserviceaccount.com",
  }),
  "google.customJobs": vertexJob(vertex, vertex.container, now, "s@p.iam.gserviceaccount.com"),
  "azure.virtualMachines": machineBody(intentFor("azure"), { subnet: "/subscriptions/s/subnet", hasIdentity: true, now: 0 }),
  "azure.networkSecurityGroups": { location: "westeurope", ...sshBody },
  "azure.virtualNetworks": { location: "westeurope", ...networkBody("/subscriptions/s/guard") },
  "azure.jobs": azureJob(azureml, azureml.container, { environmentId: "/e", now }),
  "aws.CreateTrainingJob": jobRequest(
    sagemaker,
    sagemaker.container,
    { roleArn: "arn:aws:iam::111122223333:role/x", outputs: "s3://b/x" },
    now,
  ),
}))
  test(`the official client of ${name} sends what we send`, () => {
    assert.deepEqual(withoutKnownDifferences(JSON.parse(JSON.stringify(ours))), withoutKnownDifferences(requests[name]));
  });

/**
 * The client of jobs at Azure is of an older interface, which has no tiers; Google's adds an empty map. Labels and tags are maps that
 * clients pass on as they are; two of ours came after the recording.
 */
const withoutKnownDifferences = (body: unknown): unknown =>
  JSON.parse(JSON.stringify(body), (name, value: unknown) =>
    ["queueSettings", "resourceManagerTags", "nika-hourly", "nika-since"].includes(name) ? undefined : value,
  );

/**
 * Of "Runpod REST API", version 2.0.0, as published in github.com/runpod/docs (api-reference-v2/openapi.json at a900806, 20 August 2026):
 * the bodies that Nika sends and reads, in our own notation. What the schema leaves open is open here.
 */
import { orNull, type Shape } from "./shape.ts";

const cudaVersion = "string";
const container = {
  image: "string",
  args: "string",
  disk: "integer",
  ports: { list: "string" },
  env: { map: "string" },
  registry: orNull("string"),
} as const;
const availability: Shape = { words: ["NONE", "LOW", "MEDIUM", "HIGH"] };
const cpuRequest: Shape = { must: { id: "string", vcpuCount: "integer" } };
const place: Shape = { must: { id: "string", name: "string", availability }, isOpen: true };

export const createPod: Shape = {
  must: { name: "string", image: "string" },
  may: {
    ...container,
    cloud: { words: ["SECURE", "COMMUNITY"] },
    gpu: {
      must: { id: "string" },
      may: { count: "integer", allowedCudaVersions: { list: cudaVersion }, minCudaVersion: cudaVersion },
    },
    cpu: cpuRequest,
    dataCenterIds: { list: "string" },
    globalNetworking: "boolean",
    mounts: { must: {}, may: { persistent: "any", network: { list: "any" } } },
    startJupyter: "boolean",
    startSsh: "boolean",
    templateId: "string",
  },
};

const sshEndpoint = orNull({ must: { host: "string", port: "integer", username: "string", command: "string" }, isOpen: true });
export const pod: Shape = {
  must: {
    ...container,
    id: "string",
    name: "string",
    status: { words: ["PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED"] },
    actions: { list: { words: ["start", "stop", "restart", "terminate"] } },
    mounts: "any",
    cloud: { words: ["SECURE", "COMMUNITY"] },
    dataCenterId: orNull("string"),
    cudaVersion: orNull("string"),
    ssh: { must: { proxy: sshEndpoint, direct: sshEndpoint }, isOpen: true },
    template: orNull("string"),
    cost: "number",
    locked: "boolean",
    runtime: orNull("any"),
    createdAt: "string",
    startedAt: orNull("string"),
    globalNetworking: { must: { enabled: "boolean" }, isOpen: true },
  },
  may: {
    gpu: { must: { id: "string", count: "integer" } },
    cpu: { must: { id: "string", vcpuCount: "integer", memory: "integer" } },
  },
  isOpen: true,
};
export const pods: Shape = { must: { pods: { list: pod } }, isOpen: true };

export const createEndpoint: Shape = {
  must: {
    name: "string",
    image: "string",
    type: { words: ["QUEUE", "LOAD_BALANCER"] },
    scaling: { must: { type: { words: ["QUEUE_DELAY"] }, queueDelay: "number" } },
  },
  may: {
    ...container,
    gpu: { must: { pools: { list: "string", min: 1 } }, may: { count: "integer", excludedTypes: { list: "string" } } },
    cpu: { list: cpuRequest, min: 1 },
    workers: { must: {}, may: { min: "integer", max: "integer", idleTimeout: "integer" } },
    dataCenterIds: { list: "string" },
    networkVolumes: { list: "string" },
    flashboot: { words: ["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"] },
    templateId: "string",
    timeout: "integer",
  },
};
export const endpoint: Shape = {
  must: {
    id: "string",
    name: "string",
    workers: { must: { min: "integer", max: "integer" }, may: { idleTimeout: "integer" } },
    scaling: "any",
    dataCenterIds: { list: "string" },
    networkVolumes: { list: "string" },
    timeout: "integer",
    flashboot: { words: ["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"] },
    createdAt: "string",
  },
  isOpen: true,
};
export const endpoints: Shape = { must: { endpoints: { list: endpoint } }, isOpen: true };
export const workers: Shape = {
  must: {
    workers: {
      list: {
        must: {
          id: "string",
          status: { words: ["RUNNING", "IDLE", "INITIALIZING", "THROTTLED", "UNHEALTHY"] },
          gpuCount: "integer",
          isStale: "boolean",
        },
        isOpen: true,
      },
    },
    summary: {
      must: {
        running: "integer",
        idle: "integer",
        initializing: "integer",
        throttled: "integer",
        unhealthy: "integer",
        total: "integer",
      },
    },
  },
  isOpen: true,
};

export const keys: Shape = { must: { keys: { list: "string" } } };
export const gpus: Shape = {
  must: {
    gpus: {
      list: {
        must: {
          id: "string",
          name: "string",
          pool: orNull("string"),
          manufacturer: "string",
          memory: "integer",
          secure: "boolean",
          community: "boolean",
          price: { must: { secure: "number", community: "number" }, may: { serverless: "number" } },
          maxCount: { must: { secure: "integer", community: "integer" } },
        },
        may: { availability, dataCenters: { list: place } },
        isOpen: true,
      },
    },
  },
  isOpen: true,
};
export const cpus: Shape = {
  must: {
    cpus: {
      list: {
        must: {
          id: "string",
          name: "string",
          group: "string",
          vcpu: { must: { min: "integer", max: "integer" } },
          ramGbPerVcpu: "number",
          price: { must: { securePerVcpu: "number", serverlessPerVcpu: "number" } },
        },
        may: { availability, dataCenters: { list: place } },
        isOpen: true,
      },
    },
  },
  isOpen: true,
};
const range = { startTime: "string", endTime: "string" } as const;
const amounts = { totalAmount: "number", gpuAmount: "number", cpuAmount: "number", diskAmount: "number" } as const;
const query: Shape = { must: { ...range, bucketSize: "string" }, isOpen: true };
export const podBilling: Shape = {
  must: {
    records: { list: { must: { ...range, podId: "string", ...amounts }, isOpen: true } },
    metadata: {
      must: { query, recordCount: "integer", totals: { must: amounts, isOpen: true }, uniquePodCount: "integer" },
      isOpen: true,
    },
  },
  isOpen: true,
};
export const serverlessBilling: Shape = {
  must: {
    records: { list: { must: { ...range, serverlessId: "string", ...amounts, feeAmount: "number" }, isOpen: true } },
    metadata: {
      must: { query, recordCount: "integer", totals: { must: { ...amounts, feeAmount: "number" }, isOpen: true } },
      isOpen: true,
    },
  },
  isOpen: true,
};
export const problem: Shape = {
  must: { title: "string", status: "integer", detail: "string" },
  may: { errors: { list: "string" } },
  isOpen: true,
};

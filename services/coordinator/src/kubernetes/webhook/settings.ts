import { clientStacks, defaultPolicy, pullPolicies, trafficModes } from "@cutline/injection";
import { choice, list, text } from "@cutline/runtime";
import { nativeSidecarChoices } from "./policy.ts";

const quantity = {
  pattern: /^(none|[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$/,
  patternDoc: "a quantity, or none",
};
const { resources } = defaultPolicy;

/** What the webhook puts into pods that do not say otherwise. */
export const injectionSettings = {
  injectionImage: text("CUTLINE_INJECTION_IMAGE", {
    doc: "The image of the agents, with its tag or digest; the webhook does not start without.",
  }),
  injectionImagePullPolicy: choice("CUTLINE_INJECTION_IMAGE_PULL_POLICY", pullPolicies, {
    default: defaultPolicy.imagePullPolicy,
    doc: "When nodes pull that image.",
  }),
  injectionAgentsService: text("CUTLINE_INJECTION_AGENTS_SERVICE", {
    default: defaultPolicy.agentsService,
    pattern: /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/,
    patternDoc: "a DNS label",
    doc: "The Service, in the coordinator's namespace, at which agents attach and get certificates.",
  }),
  injectionNativeSidecars: choice("CUTLINE_INJECTION_NATIVE_SIDECARS", nativeSidecarChoices, {
    default: "auto",
    doc: "Whether agents are init containers that go on running. auto: when the API server is of 1.29 or newer; never, as long as nodes are older.",
  }),
  injectionTraffic: choice("CUTLINE_INJECTION_TRAFFIC", trafficModes, {
    default: defaultPolicy.traffic,
    doc: "How calls come to the agent: env (grpc_proxy) or redirect (nftables).",
  }),
  injectionOutboundPorts: list("CUTLINE_INJECTION_OUTBOUND_PORTS", {
    pattern: /^[1-9][0-9]{0,4}$/,
    patternDoc: "a port",
    doc: "Redirect: destination ports that lead through the agent.",
  }),
  injectionNoProxy: list("CUTLINE_INJECTION_NO_PROXY", {
    pattern: /^[A-Za-z0-9._:/*-]{1,253}$/,
    patternDoc: "a host, the end of one, or an address range",
    doc: "Env: what clients dial without the agent, besides loopback.",
  }),
  injectionClients: list("CUTLINE_INJECTION_CLIENTS", {
    pattern: new RegExp(`^(${clientStacks.join("|")})$`),
    patternDoc: clientStacks.join(" or "),
    doc: "Env: gRPC stacks that need other variables than grpc_proxy.",
  }),
  injectionCpuRequest: text("CUTLINE_INJECTION_CPU_REQUEST", {
    ...quantity,
    default: resources.cpuRequest,
    doc: "Of an agent.",
  }),
  injectionCpuLimit: text("CUTLINE_INJECTION_CPU_LIMIT", {
    ...quantity,
    default: "none",
    doc: "Of an agent. One that is throttled holds up its application's traffic.",
  }),
  injectionMemoryRequest: text("CUTLINE_INJECTION_MEMORY_REQUEST", {
    ...quantity,
    default: resources.memoryRequest,
    doc: "Of an agent.",
  }),
  injectionMemoryLimit: text("CUTLINE_INJECTION_MEMORY_LIMIT", {
    ...quantity,
    default: resources.memoryLimit,
    doc: "Of an agent.",
  }),
};

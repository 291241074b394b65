import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { issueCertificate } from "@cutline/certificates";
import { findingsOf } from "../src/check/check.ts";
import { expectedDefinitions } from "../src/check/expected.ts";
import type { CoordinatorFacts, Facts, PodFacts } from "../src/check/facts.ts";
import type { Finding, Known } from "../src/check/findings.ts";
import { formatFindings } from "../src/output/check.ts";
import { plain } from "../src/output/palette.ts";
import type { Topology } from "../src/topology.ts";

const nowMs = Date.parse("2026-11-23T12:00:00Z");
const dayMs = 24 * 3_600_000;
/** An authority that ends then. */
function authorityPem(untilMs: number): string {
  const times = { fromMs: untilMs - 365 * dayMs, untilMs };
  return issueCertificate({ kind: "authority", commonName: "webhook", uris: ["spiffe://cutline"], ...times })
    .certificate;
}

const known = <Value>(value: Value) => ({ value });

const process = (id: string, fields: Partial<Topology["processes"][number]> = {}): Topology["processes"][number] => ({
  id,
  incarnation: "1",
  agentVersion: "0.1.0",
  captureSource: "none",
  authorities: ["bank.shop.svc.cluster.local:80"],
  attachedAt: "2026-11-23T11:00:00Z",
  phase: "attached",
  ready: true,
  reasons: [],
  ...fields,
});

const pod = (name: string, fields: Partial<PodFacts> = {}): PodFacts => ({
  namespace: "shop",
  name,
  labels: { app: "bank" },
  asksForAgent: true,
  hasAgent: true,
  agentVersion: "0.1.0",
  phase: "Running",
  isGoing: false,
  agentTrouble: "",
  ...fields,
});

const topology = (fields: Partial<Topology> = {}): Topology => ({
  term: 1,
  discovery: { phase: "known", ageMs: 100, services: 3, endpointSlices: 3 },
  processes: [process("shop/bank-0")],
  links: [],
  environment: [],
  ...fields,
});

const replica = (fields: Partial<CoordinatorFacts["pods"][number]> = {}): CoordinatorFacts["pods"][number] => ({
  name: "coordinator-a",
  isReady: true,
  version: "0.1.0",
  trouble: "",
  settings: { CUTLINE_WEBHOOK: "true" },
  ...fields,
});

function coordinator(fields: Partial<CoordinatorFacts> = {}): Known<CoordinatorFacts> {
  return known({
    namespace: "cutline",
    name: "cutline-coordinator",
    pods: [replica()],
    lease: known({ holder: "coordinator-a_1", renewedAt: "2026-11-23T11:59:58Z", durationMs: 15_000 }),
    reached: known({ reasons: [], topology: known(topology()), certificates: known([]) }),
    ...fields,
  });
}

const webhook = (caBundle: string) =>
  known([{ configuration: "cutline", service: "cutline/cutline-webhook", failurePolicy: "Fail", caBundle }]);

/** Of a cluster in which all is well. */
function facts(fields: Partial<Facts> = {}): Facts {
  return {
    nowMs,
    version: "0.1.0",
    server: known({ major: "1", minor: "31+" }),
    definitions: expectedDefinitions.map(({ name, version, fields: all }) => ({
      name,
      found: known({ isEstablished: true, versions: [version], fields: [...all] }),
    })),
    coordinator: coordinator(),
    webhooks: webhook(authorityPem(nowMs + 90 * dayMs)),
    trial: known("injected" as const),
    pods: known([pod("bank-0")]),
    workloads: known([]),
    namespaces: known([{ name: "shop", labels: {} }]),
    services: known([
      {
        namespace: "shop",
        name: "bank",
        selector: { app: "bank" },
        ports: [{ name: "", port: 80 }],
        isHeadless: false,
      },
    ]),
    rights: [{ who: "user", what: "create pods", why: "it", allowed: known(true) }],
    ...fields,
  };
}

/** `severity Code object`, and nothing else. */
const short = (findings: readonly Finding[]) =>
  findings.map(({ severity, code, object }) => `${severity} ${code} ${object}`);

describe("what check finds", () => {
  it("is nothing where all is well", () => {
    assert.deepEqual(findingsOf(facts()), []);
    assert.equal(formatFindings([], plain), "All is well.\n");
  });

  const reachedWith = (fields: Partial<Topology>, reasons: readonly string[] = []) =>
    coordinator({ reached: known({ reasons, topology: known(topology(fields)), certificates: known([]) }) });
  const first = expectedDefinitions[0];

  const cases: readonly (readonly [string, Partial<Facts>, readonly string[]])[] = [
    ["an old server", { server: known({ major: "1", minor: "28" }) }, ["info NoNativeSidecars API server"]],
    ["a server that does not tell", { server: { unknown: "forbidden" } }, ["warning NotChecked API server"]],
    [
      "definitions that are missing, not served, or of another version",
      {
        definitions: [
          { name: first.name, found: known(undefined) },
          {
            name: first.name,
            found: known({ isEstablished: false, versions: ["v1alpha1"], fields: [...first.fields] }),
          },
          { name: first.name, found: known({ isEstablished: true, versions: ["v2"], fields: [...first.fields] }) },
          {
            name: first.name,
            found: known({ isEstablished: true, versions: ["v1alpha1"], fields: first.fields.slice(0, 3) }),
          },
          { name: first.name, found: { unknown: "forbidden" } },
        ],
      },
      [
        "error DefinitionMissing CustomResourceDefinition globalsnapshots.cutline.dev",
        "error DefinitionNotEstablished CustomResourceDefinition globalsnapshots.cutline.dev",
        "error DefinitionOld CustomResourceDefinition globalsnapshots.cutline.dev",
        "error DefinitionVersion CustomResourceDefinition globalsnapshots.cutline.dev",
        "warning NotChecked CustomResourceDefinition globalsnapshots.cutline.dev",
      ],
    ],
    ["no coordinator", { coordinator: { unknown: "none found" } }, ["error CoordinatorMissing coordinator"]],
    [
      "replicas that are not ready, of several versions",
      {
        coordinator: coordinator({
          pods: [
            replica({ isReady: false, version: "0.2.0" }),
            replica({ name: "b", isReady: false, trouble: "CrashLoopBackOff" }),
          ],
        }),
      },
      [
        "error CoordinatorNotReady Service cutline/cutline-coordinator",
        "warning ReplicaNotReady Pod cutline/b",
        "warning ReplicaNotReady Pod cutline/coordinator-a",
        "warning CoordinatorVersionsMixed Service cutline/cutline-coordinator",
      ],
    ],
    [
      "another version than this program's, and than that of the agents",
      { coordinator: coordinator({ pods: [replica({ version: "0.2.0" })] }) },
      ["warning AgentVersionOther Pod shop/bank-0", "warning ProgramVersionOther Service cutline/cutline-coordinator"],
    ],
    [
      "no Lease",
      { coordinator: coordinator({ lease: known(undefined) }) },
      ["error NoLeader Lease cutline/cutline-coordinator"],
    ],
    [
      "a Lease of nobody",
      { coordinator: coordinator({ lease: known({ holder: "", renewedAt: "", durationMs: 15_000 }) }) },
      ["error NoLeader Lease cutline/cutline-coordinator"],
    ],
    [
      "a Lease that nobody renews",
      {
        coordinator: coordinator({
          lease: known({ holder: "a", renewedAt: "2026-11-23T11:59:00Z", durationMs: 15_000 }),
        }),
      },
      ["error NoLeader Lease cutline/cutline-coordinator"],
    ],
    [
      "a coordinator that cannot be reached, so that nothing is said of what it alone knows",
      { coordinator: coordinator({ reached: { unknown: "refused" } }), pods: known([pod("stranger")]) },
      ["error CoordinatorUnreachable Service cutline/cutline-coordinator"],
    ],
    [
      "a coordinator that does not tell this user",
      {
        coordinator: coordinator({
          reached: known({
            reasons: [],
            topology: { unknown: "Show a token" },
            certificates: { unknown: "Show a token" },
          }),
        }),
        pods: known([pod("stranger")]),
      },
      ["warning CoordinatorRefuses Service cutline/cutline-coordinator"],
    ],
    [
      "a store that does not answer",
      { coordinator: reachedWith({}, ["the store does not answer: timeout"]) },
      ["error StoreTrouble Service cutline/cutline-coordinator"],
    ],
    [
      "a replica that does not lead",
      { coordinator: reachedWith({}, ["this replica does not lead"]) },
      ["error CoordinatorNotServing Service cutline/cutline-coordinator"],
    ],
    [
      "no discovery",
      { coordinator: reachedWith({ discovery: undefined }) },
      ["warning DiscoveryOff Service cutline/cutline-coordinator"],
    ],
    [
      "discovery that has heard nothing for long",
      { coordinator: reachedWith({ discovery: { phase: "known", ageMs: 600_000, services: 1, endpointSlices: 1 } }) },
      ["warning DiscoveryStale Service cutline/cutline-coordinator"],
    ],
    [
      "a webhook without an authority",
      { webhooks: webhook("") },
      ["error WebhookWithoutAuthority MutatingWebhookConfiguration cutline"],
    ],
    [
      "a webhook whose authority is none",
      { webhooks: webhook("x") },
      ["error WebhookAuthorityInvalid MutatingWebhookConfiguration cutline"],
    ],
    [
      "a webhook that does nothing",
      { trial: known("notInjected") },
      ["error WebhookDoesNothing MutatingWebhookConfiguration cutline"],
    ],
    [
      "a webhook that cannot be called",
      { trial: { unknown: 'Internal error: failed calling webhook "inject.cutline.dev"' } },
      ["error WebhookFails MutatingWebhookConfiguration cutline"],
    ],
    [
      "a trial that is not allowed",
      { trial: { unknown: "forbidden" } },
      ["warning NotChecked MutatingWebhookConfiguration cutline"],
    ],
    [
      "a webhook that nothing leads to",
      { webhooks: known([]), trial: undefined },
      ["error WebhookMissing MutatingWebhookConfigurations"],
    ],
    [
      "pods without agents, but not of those that are over, or that do not ask",
      {
        pods: known([
          pod("bank-0"),
          pod("naked", { hasAgent: false, labels: {} }),
          pod("over", { hasAgent: false, phase: "Succeeded" }),
          pod("going", { hasAgent: false, isGoing: true }),
          pod("other", { hasAgent: false, asksForAgent: false, labels: {} }),
        ]),
      },
      ["error AgentMissing Pod shop/naked"],
    ],
    [
      "agents that do not run, or have not attached, or lost the coordinator, or cannot be cut",
      {
        pods: known(
          ["bank-0", "crashed", "absent", "starting", "lost", "unready"].map((name) =>
            pod(name, {
              ...(name === "crashed" && { agentTrouble: "CrashLoopBackOff: back-off" }),
              ...(name === "starting" && { phase: "Pending" }),
            }),
          ),
        ),
        coordinator: reachedWith({
          processes: [
            process("shop/bank-0"),
            process("shop/lost", { phase: "detached" }),
            process("shop/unready", {
              ready: false,
              reasons: [{ code: "ApplicationUnreachable", message: "refused" }],
            }),
          ],
        }),
      },
      [
        "error AgentNotAttached Pod shop/absent",
        "error AgentNotRunning Pod shop/crashed",
        "warning AgentDetached Pod shop/lost",
        "warning ProcessNotReady Pod shop/unready",
      ],
    ],
    [
      "a Service whose ports lead to no process",
      {
        coordinator: reachedWith({
          processes: [
            process("shop/bank-0", {
              authorities: ["10.96.0.7:80", "bank.other.svc.cluster.local:80", "bank.shop:80"],
            }),
          ],
        }),
      },
      ["warning ServiceWithoutProcess Service shop/bank"],
    ],
    [
      "a Service of pods with and without agents",
      { pods: known([pod("bank-0"), pod("old", { hasAgent: false, asksForAgent: false })]) },
      ["warning ServicePartlyInjected Service shop/bank"],
    ],
    [
      "redirected traffic where Pod Security forbids it",
      {
        workloads: known([
          {
            kind: "Deployment",
            namespace: "shop",
            name: "bank",
            traffic: "redirect",
            wantedReplicas: 1,
            readyReplicas: 0,
          },
          { kind: "Deployment", namespace: "shop", name: "web", traffic: "env", wantedReplicas: 1, readyReplicas: 1 },
        ]),
        namespaces: known([{ name: "shop", labels: { "pod-security.kubernetes.io/enforce": "restricted" } }]),
      },
      ["error RedirectForbidden Deployment shop/bank"],
    ],
    [
      "rights that are missing or unknown",
      {
        rights: [
          { who: "user", what: "create pods/portforward in cutline", why: "state", allowed: known(false) },
          { who: "coordinator", what: "list services in all namespaces", why: "discovery", allowed: known(false) },
          { who: "coordinator", what: "watch services", why: "discovery", allowed: { unknown: "may not ask" } },
          { who: "coordinator", what: "list services", why: "discovery", allowed: { unknown: "may not ask" } },
        ],
      },
      [
        "error CoordinatorRightMissing the coordinator's service account",
        "warning RightMissing this user",
        "info NotChecked rights of the coordinator's service account",
      ],
    ],
    [
      "what could not be looked at",
      { pods: { unknown: "x" }, services: { unknown: "x" }, workloads: { unknown: "x" }, webhooks: { unknown: "x" } },
      [
        "warning NotChecked MutatingWebhookConfigurations",
        "warning NotChecked Pods",
        "warning NotChecked Services",
        "warning NotChecked Workloads",
      ],
    ],
  ];
  for (const [what, change, expected] of cases) {
    it(`is ${what}`, () => {
      const findings = findingsOf(facts(change));
      assert.deepEqual(short(findings), expected);
      for (const { message, advice } of findings) assert.ok(message.length > 0 && advice.length > 0);
    });
  }

  it("is a certificate of the mesh near its end, or past it", () => {
    const ending = (...ends: readonly [string, number][]) => {
      const certificates = known(ends.map(([role, inMs]) => ({ role, subject: `CN=${role}`, untilMs: nowMs + inMs })));
      const reached = known({ reasons: [], topology: known(topology()), certificates });
      return short(findingsOf(facts({ coordinator: coordinator({ reached }) })));
    };
    const object = "Service cutline/cutline-coordinator";
    assert.deepEqual(ending(["own", dayMs / 2], ["authority", 30 * dayMs]), []);
    assert.deepEqual(ending(["own", dayMs / 48], ["authority", 30 * dayMs]), [`warning CertificateExpires ${object}`]);
    assert.deepEqual(ending(["own", -1], ["authority", 30 * dayMs]), [`error CertificateExpired ${object}`]);
    assert.deepEqual(ending(["own", dayMs], ["authority", dayMs]), [`warning CertificateExpires ${object}`]);
    assert.deepEqual(ending(["own", dayMs], ["authority", -1], ["authority", 30 * dayMs]), [], "an old one may go");
  });

  it("is an authority of the webhook near its end, or past it", () => {
    const soon = findingsOf(facts({ webhooks: webhook(authorityPem(nowMs + 3 * dayMs)) }));
    assert.deepEqual(short(soon), ["warning WebhookAuthorityExpires MutatingWebhookConfiguration cutline"]);
    const old = authorityPem(nowMs - dayMs);
    const past = findingsOf(facts({ webhooks: webhook(old) }));
    assert.deepEqual(short(past), ["error WebhookAuthorityExpired MutatingWebhookConfiguration cutline"]);
    const rotated = webhook(`${old}${authorityPem(nowMs + 90 * dayMs)}`);
    assert.deepEqual(findingsOf(facts({ webhooks: rotated })), []);
  });

  it("is printed with what to do, in one line each", () => {
    const findings = findingsOf(
      facts({ pods: known([pod("bank-0"), pod("evil\u001b[31m", { hasAgent: false, labels: {} })]) }),
    );
    assert.equal(
      formatFindings(findings, plain),
      "ERROR  Pod shop/evil\\x1b[31m: it asks for an agent (cutline.dev/inject) and has none: its calls are environment, and it is in no snapshot (AgentMissing)\n" +
        "       see what is said of the webhook here, then kubectl -n shop rollout restart its workload; or use cutline inject\n" +
        "\n1 error, 0 warnings\n",
    );
  });
});

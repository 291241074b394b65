import type { KubeApi } from "../cluster/client.ts";
import { messageOf } from "../errors.ts";
import { asRecord } from "../json.ts";
import { type ExpectedRule, expectedRules } from "./expected.ts";
import type { CoordinatorFacts, RightFacts } from "./facts.ts";
import type { Known } from "./findings.ts";

/** Reviews that are asked for at a time. */
const reviewsAtATime = 8;
/** Namespaces for which the coordinator's rights are reviewed, of those it watches. */
const namespacesMax = 20;

interface Question {
  readonly who: RightFacts["who"];
  readonly why: string;
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `pods/portforward`. */
  readonly resource: string;
  readonly name?: string;
  /** `undefined`: of the whole cluster. */
  readonly namespace: string | undefined;
}

/** What a user of the plugin does. */
export function userQuestions(namespace: string, coordinatorNamespace: string | undefined): Question[] {
  const user = { who: "user" as const };
  const objects = { ...user, group: "cutline.dev", resource: "globalsnapshots", namespace };
  const coordinator = { ...user, namespace: coordinatorNamespace };
  return [
    ...["create", "get", "list", "delete"].map((verb) => ({ ...objects, verb, why: "kubectl cutline snapshot" })),
    { ...objects, verb: "patch", why: "kubectl cutline snapshot abort" },
    { ...user, verb: "list", group: "", resource: "events", namespace, why: "kubectl cutline snapshot describe" },
    {
      ...user,
      verb: "list",
      group: "",
      resource: "services",
      namespace: coordinatorNamespace,
      why: "finding the coordinator",
    },
    { ...coordinator, verb: "list", group: "", resource: "pods", why: "state, diff and topology" },
    { ...coordinator, verb: "create", group: "", resource: "pods/portforward", why: "state, diff and topology" },
  ];
}

/** What the coordinator does, as far as its settings say so, in the place where each is needed. */
export function coordinatorQuestions({ namespace, name, pods }: CoordinatorFacts): Question[] {
  const settings = pods[0]?.settings ?? {};
  const watched = (settings.CUTLINE_KUBERNETES_NAMESPACES ?? "").split(",").filter((one) => one !== "");
  const places: Readonly<Record<ExpectedRule["where"], readonly (string | undefined)[]>> = {
    watched: watched.length === 0 ? [undefined] : watched.slice(0, namespacesMax),
    own: [settings.CUTLINE_KUBERNETES_LEASE_NAMESPACE ?? namespace],
    cluster: [undefined],
  };
  return expectedRules
    .filter(({ needs }) => needs.some((setting) => isSet(settings, setting)))
    .flatMap((rule) =>
      places[rule.where].flatMap((place) =>
        rule.apiGroups.flatMap((group) =>
          rule.resources.flatMap((resource) =>
            rule.verbs.map((verb) => ({
              ...{ who: "coordinator" as const, why: rule.for, verb, group, resource, namespace: place },
              ...(resource === "leases" &&
                verb !== "create" && { name: settings.CUTLINE_KUBERNETES_LEASE_NAME ?? name }),
            })),
          ),
        ),
      ),
    );
}

/** `NAME` or `NAME=VALUE`. */
function isSet(settings: Readonly<Record<string, string>>, setting: string): boolean {
  const [name = "", value = "true"] = setting.split("=");
  return settings[name] === value;
}

/** `account`: NAMESPACE/NAME of the coordinator's service account. */
export async function askRights(
  api: KubeApi,
  questions: readonly Question[],
  account: string | undefined,
): Promise<RightFacts[]> {
  const answers: RightFacts[] = [];
  for (let at = 0; at < questions.length; at += reviewsAtATime) {
    const some = questions.slice(at, at + reviewsAtATime);
    answers.push(...(await Promise.all(some.map((question) => ask(api, question, account)))));
  }
  return answers;
}

async function ask(api: KubeApi, question: Question, account: string | undefined): Promise<RightFacts> {
  const { who, why, verb, group, resource, name, namespace } = question;
  const place = namespace === undefined ? " in all namespaces" : ` in ${namespace}`;
  const what = `${verb} ${resource}${group === "" ? "" : `.${group}`}${place}`;
  const [plain = "", subresource] = resource.split("/");
  const resourceAttributes = {
    ...{ verb, group, resource: plain },
    ...(subresource !== undefined && { subresource }),
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
  };
  return { who, what, why, allowed: await review(api, who, resourceAttributes, account) };
}

async function review(
  api: KubeApi,
  who: RightFacts["who"],
  resourceAttributes: object,
  account: string | undefined,
): Promise<Known<boolean>> {
  const path = "/apis/authorization.k8s.io/v1";
  const [namespace = "", name = ""] = (account ?? "").split("/");
  const user = `system:serviceaccount:${namespace}:${name}`;
  const groups = ["system:authenticated", "system:serviceaccounts", `system:serviceaccounts:${namespace}`];
  try {
    const answer = await api.send({
      method: "POST",
      path: who === "user" ? `${path}/selfsubjectaccessreviews` : `${path}/subjectaccessreviews`,
      body: { spec: { resourceAttributes, ...(who === "coordinator" && { user, groups }) } },
      failure: "cannot ask for rights",
    });
    return { value: asRecord(asRecord(answer)?.status)?.allowed === true };
  } catch (error) {
    return { unknown: messageOf(error) };
  }
}

import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { openCluster } from "../../../src/kubernetes/api/cluster.ts";
import { leaseRules, type PolicyRule, watchedRules } from "../../../src/kubernetes/permissions.ts";
import { kubeconfig, type TestNamespace } from "./cluster.ts";

export interface Account {
  /** What a pod finds in its service account's folder; the caller removes it. */
  readonly folder: string;
  readonly server: string;
}

/** A service account of the namespace with these rules there (those of the controller by default), and nothing else. */
export async function openAccount(
  admin: KubeClient,
  namespace: TestNamespace,
  rules: readonly PolicyRule[] = [...watchedRules, ...leaseRules],
): Promise<Account> {
  const name = "controller";
  const group = "rbac.authorization.k8s.io";
  const rbac = `/apis/${group}/v1/namespaces/${namespace.name}`;
  const core = `/api/v1/namespaces/${namespace.name}/serviceaccounts`;
  const metadata = { name };
  await admin.send({ method: "POST", path: core, body: { metadata } });
  await admin.send({ method: "POST", path: `${rbac}/roles`, body: { metadata, rules } });
  const subjects = [{ kind: "ServiceAccount", name, namespace: namespace.name }];
  const roleRef = { apiGroup: group, kind: "Role", name };
  await admin.send({ method: "POST", path: `${rbac}/rolebindings`, body: { metadata, subjects, roleRef } });
  const { status } = await admin.send<{ status: { token: string } }>({
    method: "POST",
    path: `${core}/${name}/token`,
    body: { spec: { expirationSeconds: 3_600 } },
  });
  const cluster = await openCluster(kubeconfig());
  const { ca } = await cluster.credentials();
  const folder = await mkdtemp(join(tmpdir(), "cutline-account-"));
  await writeFile(join(folder, "token"), status.token);
  await writeFile(join(folder, "ca.crt"), String(ca));
  await writeFile(join(folder, "namespace"), namespace.name);
  return { folder, server: cluster.server.href.replace(/\/$/, "") };
}

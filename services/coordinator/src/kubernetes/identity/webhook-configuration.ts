import type { KubeClient } from "../api/client.ts";

interface WebhookConfiguration {
  readonly webhooks?: readonly {
    readonly name: string;
    readonly clientConfig: { readonly caBundle?: string };
  }[];
}

/**
 * Has the API server believe the bundle when it calls the webhooks of this MutatingWebhookConfiguration. Writes only what
 * differs; does nothing else to the object. Rejects with a `KubeError`.
 */
export async function publishBundle(client: KubeClient, name: string, bundle: string): Promise<"same" | "written"> {
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${name}`;
  const { webhooks = [] } = await client.send<WebhookConfiguration>({ method: "GET", path });
  const caBundle = Buffer.from(bundle).toString("base64");
  const body = webhooks.flatMap((webhook, index) =>
    webhook.clientConfig.caBundle === caBundle
      ? []
      : [
          // Somebody may have put another webhook in its place meanwhile: then nothing is written.
          { op: "test", path: `/webhooks/${index}/name`, value: webhook.name },
          { op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value: caBundle },
        ],
  );
  if (body.length === 0) return "same";
  await client.send({ method: "PATCH", path, body });
  return "written";
}

import {
  authorityUri,
  CutlineError,
  contentsOf,
  identityUri,
  type Logger,
  type Metrics,
  type TlsCredentials,
  type TlsSource,
} from "@cutline/runtime";
import type { KubeClient } from "../api/client.ts";
import { type ConnectionConfig, openConnection } from "../connection.ts";
import type { ServingCertificate } from "../webhook/certificate.ts";
import { FileCertificate } from "./file-certificate.ts";
import { Issuance } from "./issuance.ts";
import { AuthorityKeeper } from "./keeper.ts";
import { defaultIdentityLimits, type IdentityLimits } from "./limits.ts";
import { mintAuthority } from "./mint.ts";
import { HeldCertificate } from "./own-certificate.ts";
import { policyProblem, type RotationPolicy } from "./rotation.ts";
import { AuthoritySecret } from "./secret.ts";
import { IdentityServer } from "./server.ts";
import { publishBundle } from "./webhook-configuration.ts";

export interface IdentityConfig extends ConnectionConfig {
  readonly identity: boolean;
  readonly identityHost: string;
  readonly identityPort: number;
  readonly identityAudience: string;
  readonly identityTrustDomain: string;
  readonly identityNamespaces: readonly string[];
  readonly identitySecret: string;
  readonly identitySecretNamespace: string | undefined;
  readonly identityCertificateLifeMs: number;
  readonly identityAuthorityLifeMs: number;
  readonly identityOverlapMs: number;
  readonly identityRereadMs: number;
  readonly identityClockSkewMs: number;
  readonly webhook: boolean;
  readonly webhookSecret: string;
  readonly webhookConfiguration: string | undefined;
  readonly webhookDnsNames: readonly string[];
  readonly webhookCertificateFile: string | undefined;
  readonly webhookKeyFile: string | undefined;
}

interface Surroundings {
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly metrics?: Metrics;
}

export interface Identity {
  /** Where the coordinator's own certificate of the mesh comes from; `undefined`: from the files of the settings. */
  readonly tlsSource: TlsSource | undefined;
  /** What the webhook shows; `undefined`: there is no webhook. */
  readonly servingCertificate: ServingCertificate | undefined;
  /** Whom agents are to believe, as PEM; `undefined`: this coordinator issues nothing. */
  authorities(): string | undefined;
  /** Issues certificates, when it is to, and keeps authorities fresh. `credentials`: those of `tlsSource`. */
  start(credentials: TlsCredentials | undefined): Promise<void>;
  stop(): Promise<void>;
  /** Once started; 0: nothing is issued. */
  readonly port: number;
}

/** How many looks may fail before what is known counts as stale. */
const looksPerStale = 5;

/** For a coordinator that issues certificates, or serves a webhook, or both. Rejects with a `CutlineError`. */
export async function openIdentity(config: IdentityConfig, surroundings: Surroundings): Promise<Identity> {
  const { nowMs } = surroundings;
  const logger = surroundings.logger.child({ part: "identity" });
  const limits = limitsOf(config);
  const policy = policyOf(config, limits);
  const files = filesOf(config);
  if (!config.identity && files !== undefined) {
    return withoutKeepers(await FileCertificate.open({ ...files, rereadMs: limits.rereadMs, logger }));
  }
  const { client, namespace: ownNamespace } = await openConnection(config, nowMs);
  const namespace = config.identitySecretNamespace ?? ownNamespace;
  const common = { client, namespace, policy, limits, nowMs, logger };
  try {
    const mesh = config.identity ? await openMesh(config, common) : undefined;
    const serving = config.webhook ? await openServing(config, common, ownNamespace) : undefined;
    const keepers = [mesh?.keeper, serving?.keeper].filter((each) => each !== undefined);
    let server: IdentityServer | undefined;
    let port = 0;
    return {
      tlsSource: mesh?.tlsSource,
      servingCertificate: serving?.certificate,
      authorities: () => mesh?.keeper.bundle,
      async start(credentials) {
        for (const keeper of keepers) keeper.start();
        serving?.files?.watch();
        if (mesh === undefined || credentials === undefined) return;
        mesh.keeper.onLook(() => void credentials.look());
        const { identityAudience: audience, identityTrustDomain: trustDomain, identityNamespaces: namespaces } = config;
        const metrics = surroundings.metrics === undefined ? {} : { metrics: surroundings.metrics };
        const { keeper } = mesh;
        const issuance = new Issuance({
          ...{ client, keeper, trustDomain, audience, namespaces, limits, nowMs, logger, ...metrics },
        });
        server = new IdentityServer({ issuance, credentials, limits, logger });
        port = await server.listen(config.identityHost, config.identityPort);
        logger.info({ host: config.identityHost, port, trustDomain, audience }, "certificates are issued");
      },
      async stop() {
        await server?.close();
        serving?.files?.stop();
        await Promise.all(keepers.map((keeper) => keeper.stop()));
        client.close();
      },
      get port() {
        return port;
      },
    };
  } catch (error) {
    client.close();
    throw error;
  }
}

interface Common extends Surroundings {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly policy: RotationPolicy;
  readonly limits: IdentityLimits;
}

async function openMesh(config: IdentityConfig, { client, namespace, policy, limits, nowMs, logger }: Common) {
  const { identitySecret: name, identityTrustDomain: trustDomain } = config;
  const uri = authorityUri(trustDomain);
  const kind = { title: `the mesh ${trustDomain}`, uri, lifeMs: policy.authorityLifeMs, skewMs: limits.skewMs };
  const keeper = new AuthorityKeeper({
    secret: new AuthoritySecret({ client, namespace, name, uri }),
    name,
    mint: (atMs) => mintAuthority(kind, atMs),
    ...{ policy, limits, nowMs, clockOffsetMs: () => client.clockOffsetMs(), random: Math.random, logger },
  });
  await keeper.open();
  const subject = { commonName: "coordinator", uris: [identityUri({ kind: "coordinator", trustDomain })] };
  const own = new HeldCertificate({ keeper, subject, skewMs: limits.skewMs, nowMs, logger });
  const tlsSource: TlsSource = {
    files: {
      certificateFile: "the certificate of this coordinator",
      keyFile: "the key of this coordinator",
      authoritiesFile: `the Secret ${namespace}/${name}`,
    },
    read: async () => {
      const { cert, key } = own.current();
      return contentsOf({ certificate: cert, key, authorities: keeper.bundle });
    },
  };
  return { keeper, tlsSource };
}

interface Serving {
  readonly certificate: ServingCertificate;
  readonly keeper?: AuthorityKeeper;
  readonly files?: FileCertificate;
}

async function openServing(config: IdentityConfig, common: Common, ownNamespace: string): Promise<Serving> {
  const { client, namespace, policy, limits, nowMs, logger } = common;
  const files = filesOf(config);
  if (files !== undefined) {
    const certificate = await FileCertificate.open({ ...files, rereadMs: limits.rereadMs, logger });
    return { certificate, files: certificate };
  }
  const { webhookSecret: name, webhookConfiguration } = config;
  const title = "the injection webhook";
  const kind = { title, uri: undefined, lifeMs: policy.authorityLifeMs, skewMs: limits.skewMs };
  const keeper = new AuthorityKeeper({
    secret: new AuthoritySecret({ client, namespace, name, uri: undefined }),
    name,
    mint: (atMs) => mintAuthority(kind, atMs),
    ...(webhookConfiguration !== undefined && {
      publish: async (bundle: string) => {
        const outcome = await publishBundle(client, webhookConfiguration, bundle);
        if (outcome === "written") logger.info({ name: webhookConfiguration }, "caBundle of the webhook written");
      },
    }),
    ...{ policy, limits, nowMs, clockOffsetMs: () => client.clockOffsetMs(), random: Math.random, logger },
  });
  await keeper.open();
  const dnsNames = config.webhookDnsNames.length > 0 ? config.webhookDnsNames : [`cutline-webhook.${ownNamespace}.svc`];
  const subject = { commonName: dnsNames[0] ?? "", uris: [], dnsNames };
  return { certificate: new HeldCertificate({ keeper, subject, skewMs: limits.skewMs, nowMs, logger }), keeper };
}

function withoutKeepers(certificate: FileCertificate): Identity {
  return {
    tlsSource: undefined,
    servingCertificate: certificate,
    authorities: () => undefined,
    start: async () => certificate.watch(),
    stop: async () => certificate.stop(),
    port: 0,
  };
}

function limitsOf(config: IdentityConfig): IdentityLimits {
  const { identityRereadMs: rereadMs, identityClockSkewMs: skewMs, identityCertificateLifeMs: lifeMs } = config;
  // Where certificates are renewed often, a pod may have them often.
  const windowMs = Math.min(defaultIdentityLimits.windowMs, lifeMs);
  return { ...defaultIdentityLimits, rereadMs, staleMsMax: rereadMs * looksPerStale, skewMs, windowMs };
}

/** Throws `ConfigInvalid`. */
function policyOf(config: IdentityConfig, { staleMsMax, skewMs }: IdentityLimits): RotationPolicy {
  const policy = {
    authorityLifeMs: config.identityAuthorityLifeMs,
    certificateLifeMs: config.identityCertificateLifeMs,
    overlapMs: config.identityOverlapMs,
    marginMs: staleMsMax + skewMs,
  };
  const problem = policyProblem(policy);
  if (problem !== undefined) throw new CutlineError("ConfigInvalid", `CUTLINE_IDENTITY_AUTHORITY_LIFE_MS: ${problem}`);
  return policy;
}

/** Throws `ConfigInvalid`. */
function filesOf({ webhookCertificateFile: certificateFile, webhookKeyFile: keyFile }: IdentityConfig) {
  if (certificateFile === undefined && keyFile === undefined) return undefined;
  if (certificateFile === undefined || keyFile === undefined) {
    const message = "CUTLINE_WEBHOOK_CERTIFICATE_FILE and CUTLINE_WEBHOOK_KEY_FILE: set both, or neither";
    throw new CutlineError("ConfigInvalid", message);
  }
  return { certificateFile, keyFile };
}

import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import { choice, integer, text } from "../settings.ts";
import { TlsCredentials } from "./credentials.ts";
import { TlsError } from "./errors.ts";
import type { MeshName } from "./identity.ts";
import type { TlsContents, TlsFiles } from "./material.ts";

const reloadIntervalMsDefault = 10_000;

/** The settings of mutual TLS inside the mesh, for every program that is part of it. */
export const tlsSettings = {
  tlsMode: choice("CUTLINE_TLS_MODE", ["auto", "mutual", "off"], {
    default: "auto",
    doc: "TLS between agents and with the coordinator. auto: mutual when the three files are set, else none; mutual: not without them; off: none.",
  }),
  tlsCertificateFile: text("CUTLINE_TLS_CERTIFICATE_FILE", {
    doc: "PEM file of this program's certificate, with intermediate ones behind it. All three TLS files or none.",
  }),
  tlsKeyFile: text("CUTLINE_TLS_KEY_FILE", { doc: "PEM file of the private key of that certificate." }),
  tlsAuthoritiesFile: text("CUTLINE_TLS_AUTHORITIES_FILE", {
    doc: "PEM file of the mesh authorities, one or several: whose certificates are accepted.",
  }),
  tlsReloadIntervalMs: integer("CUTLINE_TLS_RELOAD_INTERVAL_MS", {
    default: reloadIntervalMsDefault,
    min: 100,
    unit: "ms",
    doc: "How often the TLS files are looked at; what has changed is used for new connections.",
  }),
};

interface TlsConfig {
  readonly tlsMode: "auto" | "mutual" | "off";
  readonly tlsCertificateFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  readonly tlsAuthoritiesFile: string | undefined;
  readonly tlsReloadIntervalMs: number;
}

/** `undefined`: no TLS. Throws a `TlsError` that names the variable that is missing. */
function tlsFilesOf(config: TlsConfig): TlsFiles | undefined {
  if (config.tlsMode === "off") return undefined;
  const { tlsCertificateFile, tlsKeyFile, tlsAuthoritiesFile } = config;
  const all = {
    CUTLINE_TLS_CERTIFICATE_FILE: tlsCertificateFile,
    CUTLINE_TLS_KEY_FILE: tlsKeyFile,
    CUTLINE_TLS_AUTHORITIES_FILE: tlsAuthoritiesFile,
  };
  const missing = Object.entries(all).flatMap(([variable, file]) => (file === undefined ? [variable] : []));
  if (config.tlsMode === "auto" && missing.length === Object.keys(all).length) return undefined;
  if (tlsCertificateFile === undefined || tlsKeyFile === undefined || tlsAuthoritiesFile === undefined) {
    throw new TlsError(
      "TlsIncomplete",
      `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not set: mutual TLS takes certificate, key and authorities; set all three, or none of them, or CUTLINE_TLS_MODE=off`,
    );
  }
  return { certificateFile: tlsCertificateFile, keyFile: tlsKeyFile, authoritiesFile: tlsAuthoritiesFile };
}

interface OpenCredentialsOptions {
  readonly config: TlsConfig;
  readonly self: MeshName;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** Instead of the files of the settings. */
  readonly source?: TlsSource | undefined;
}

/** Certificate, key and authorities that do not come from files that somebody else keeps. */
export interface TlsSource {
  /** The files, or what the three are called in messages when `read` gives them. */
  readonly files: TlsFiles;
  readonly read?: () => Promise<TlsContents>;
}

/** What a program starts with; `undefined`: without TLS, which is logged. Rejects with what is wrong with the settings. */
export async function openCredentials(options: OpenCredentialsOptions): Promise<TlsCredentials | undefined> {
  const { config, self, logger, metrics, source } = options;
  const fromSettings = tlsFilesOf(config);
  if (source !== undefined && (config.tlsMode === "off" || fromSettings !== undefined)) {
    const message = "CUTLINE_TLS_* and CUTLINE_IDENTITY_* are both set: certificates come from one of them";
    throw new TlsError("TlsIncomplete", message);
  }
  const files = source?.files ?? fromSettings;
  if (files === undefined) {
    logger.warn({ mode: config.tlsMode }, "no TLS: agents and coordinator talk in the clear and believe every name");
    return undefined;
  }
  const { tlsReloadIntervalMs: reloadIntervalMs } = config;
  const more = { ...(metrics !== undefined && { metrics }), ...(source?.read !== undefined && { read: source.read }) };
  return await TlsCredentials.open({ files, self, reloadIntervalMs, nowMs: Date.now, logger, ...more });
}

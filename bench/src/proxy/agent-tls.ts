import type { Authority, Certificate } from "./certificates.ts";
import { ProxyBenchError } from "./errors.ts";
import type { Program } from "./program.ts";

/** The settings of every program of a mesh with mutual TLS: the one place that knows them. */
function environmentOf({ authorityFile, certificateFile, keyFile }: Certificate): Record<string, string> {
  return {
    CUTLINE_TLS_CERTIFICATE_FILE: certificateFile,
    CUTLINE_TLS_KEY_FILE: keyFile,
    CUTLINE_TLS_AUTHORITIES_FILE: authorityFile,
  };
}

/** What each program of a pair of agents is given besides; nothing without an authority. */
export interface MeshTls {
  process(id: string): Promise<Readonly<Record<string, string>>>;
  coordinator(): Promise<Readonly<Record<string, string>>>;
  /** Throws `TlsMissing` when an agent that was given certificates does not say that it uses them as it comes up. */
  check(agent: Program, servesLine: string): void;
}

export function meshTls(authority: Authority | undefined): MeshTls {
  const environment = async (path: string) =>
    authority === undefined ? {} : environmentOf(await authority.issue(path));
  return {
    process: (id) => environment(`process/${id}`),
    coordinator: () => environment("coordinator"),
    check({ name }, servesLine) {
      if (authority === undefined || servesLine.includes('"tls":"mutual"')) return;
      const message = `${name} does not use the certificates that it was given, and would be measured without TLS: ${servesLine}`;
      throw new ProxyBenchError("TlsMissing", message);
    },
  };
}

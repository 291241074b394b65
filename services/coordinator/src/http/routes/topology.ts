import { Type } from "@sinclair/typebox";
import type { Snapshots } from "../../snapshots.ts";
import { jsonResponse, problemResponses } from "../responses.ts";
import type { Api } from "../type-provider.ts";

const tags = ["topology"];

export function registerTopology(api: Api, snapshots: Snapshots): void {
  api.get(
    "/v1/topology",
    {
      schema: {
        operationId: "getTopology",
        summary: "Processes, links, environment, and who is ready to be cut",
        tags,
        response: {
          200: jsonResponse("As this replica sees it.", Type.Ref("Topology")),
          ...problemResponses(406, 500),
        },
      },
      config: { access: { on: "snapshots", verb: "list" } },
    },
    async () => snapshots.topology(),
  );

  api.get(
    "/v1/processes",
    {
      schema: {
        operationId: "listProcesses",
        summary: "The processes of the mesh",
        tags,
        response: {
          200: jsonResponse("As this replica sees it.", Type.Ref("ProcessList")),
          ...problemResponses(406, 500),
        },
      },
      config: { access: { on: "snapshots", verb: "list" } },
    },
    async () => ({ processes: snapshots.topology().processes }),
  );
}

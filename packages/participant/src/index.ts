export { ParticipantError, type ParticipantErrorCode } from "./errors.ts";
export { createParticipant, type Participant, type ParticipantOptions } from "./participant.ts";
export type { StateChunks } from "./state-source.ts";

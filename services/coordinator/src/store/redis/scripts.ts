import { createHash } from "node:crypto";
import { termEpochMs } from "@cutline/protocol";

/** One Lua script. It is sent by its hash, and in full when the server does not know it. */
export interface Script {
  readonly lua: string;
  readonly sha1: string;
}

/**
 * What a script may do when the server is out of memory: those that shrink the data, keep the lease or note that a
 * snapshot failed must go through, or a full server could never be emptied again. Needs Redis 7.
 */
type WhenFull = "allow-oom" | "refuse";

const helpers = `
local function termOf(key)
  return tonumber(redis.call('HGET', key, 'term') or '0')
end
local function fenced(term, lease, document)
  return math.max(termOf(lease), termOf(document)) > term
end
local function text(number)
  return string.format('%.0f', number)
end
local function nowMs()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
`;

function script(whenFull: WhenFull, body: string): Script {
  const lua = `#!lua${whenFull === "refuse" ? "" : ` flags=${whenFull}`}\n${helpers}${body}`;
  return { lua, sha1: createHash("sha1").update(lua).digest("hex") };
}

/**
 * KEYS lease. ARGV holder, leaseMs.
 * -> acquired, term, session (how often it was acquired), first or takeOver | held, holder, expiresInMs
 */
export const acquireLease = script(
  "allow-oom",
  `
local holder, leaseMs, now = ARGV[1], tonumber(ARGV[2]), nowMs()
local lease = redis.call('HMGET', KEYS[1], 'term', 'holder', 'expiresAtMs')
local term, expiresAtMs = tonumber(lease[1] or '0'), tonumber(lease[3] or '0')
if expiresAtMs > now and lease[2] ~= holder then
  return {'held', lease[2], text(expiresAtMs - now)}
end
-- nextTerm of the protocol, by the server's clock. A new one for the same holder too: what it sent in its last term may still
-- be on its way.
term = math.max(term + 1, now - ${termEpochMs})
redis.call('HSET', KEYS[1], 'term', text(term), 'holder', holder, 'expiresAtMs', text(now + leaseMs))
local succession = lease[1] and 'takeOver' or 'first'
return {'acquired', text(term), text(redis.call('HINCRBY', KEYS[1], 'session', 1)), succession}
`,
);

/** KEYS lease. ARGV term, leaseMs. -> renewed | lost */
export const renewLease = script(
  "allow-oom",
  `
local now = nowMs()
local expiresAtMs = tonumber(redis.call('HGET', KEYS[1], 'expiresAtMs') or '0')
if termOf(KEYS[1]) ~= tonumber(ARGV[1]) or expiresAtMs <= now then
  return {'lost'}
end
redis.call('HSET', KEYS[1], 'expiresAtMs', text(now + tonumber(ARGV[2])))
return {'renewed'}
`,
);

/** KEYS lease. ARGV term. */
export const releaseLease = script(
  "allow-oom",
  `
if termOf(KEYS[1]) == tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'expiresAtMs', '0')
end
return {'released'}
`,
);

/** KEYS document. ARGV term. Lets no lower term write this snapshot from here on. */
export const raiseTerm = script(
  "allow-oom",
  `
local term = tonumber(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 and termOf(KEYS[1]) < term then
  redis.call('HSET', KEYS[1], 'term', text(term))
end
return {'raised'}
`,
);

/** KEYS lease, index, idempotency. ARGV term, id, position, idempotencyKey, json. -> reserved | fenced | exists, id LF json */
export const reserve = script(
  "refuse",
  `
local id, idempotencyKey = ARGV[2], ARGV[4]
if fenced(tonumber(ARGV[1]), KEYS[1], KEYS[1]) then
  return {'fenced'}
end
if idempotencyKey ~= '' then
  local first = redis.call('HGET', KEYS[3], idempotencyKey)
  if first and string.sub(first, 1, #id + 1) ~= id .. '\\n' then
    return {'exists', first}
  end
  redis.call('HSETNX', KEYS[3], idempotencyKey, id .. '\\n' .. ARGV[5])
end
redis.call('ZADD', KEYS[2], 0, ARGV[3])
return {'reserved'}
`,
);

/** KEYS document, lease. ARGV term, json, position, idempotencyKey. -> created | fenced | removing | exists, json */
export const createDocument = script(
  "refuse",
  `
local term = tonumber(ARGV[1])
if fenced(term, KEYS[2], KEYS[1]) then
  return {'fenced'}
end
local json = redis.call('HGET', KEYS[1], 'json')
if json then
  return {'exists', json}
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'removing'}
end
redis.call('HSET', KEYS[1], 'json', ARGV[2], 'term', text(term), 'sequence', '0',
  'position', ARGV[3], 'idempotencyKey', ARGV[4], 'published', '0')
return {'created'}
`,
);

/**
 * KEYS document, lease. ARGV term, json, sequence, published (0 or 1). -> written | already | fenced | missing
 * A write with a sequence below the last one of its term was overtaken on its way.
 */
export const replaceDocument = script(
  "allow-oom",
  `
local term, sequence = tonumber(ARGV[1]), tonumber(ARGV[3])
if fenced(term, KEYS[2], KEYS[1]) then
  return {'fenced'}
end
local known = redis.call('HMGET', KEYS[1], 'json', 'published', 'term', 'sequence')
if not known[1] then
  return {'missing'}
end
if known[2] == '1' then
  return {'already'}
end
if tonumber(known[3]) == term and tonumber(known[4]) > sequence then
  return {'fenced'}
end
redis.call('HSET', KEYS[1], 'json', ARGV[2], 'term', text(term), 'sequence', ARGV[3], 'published', ARGV[4])
return {'written'}
`,
);

/** KEYS lease, removing. ARGV term, id. -> begun | fenced */
export const beginRemoval = script(
  "allow-oom",
  `
if fenced(tonumber(ARGV[1]), KEYS[1], KEYS[1]) then
  return {'fenced'}
end
redis.call('SADD', KEYS[2], ARGV[2])
return {'begun'}
`,
);

/** KEYS document, lease. ARGV term. -> hidden, position, idempotencyKey | absent | fenced */
export const hideDocument = script(
  "allow-oom",
  `
local term = tonumber(ARGV[1])
if fenced(term, KEYS[2], KEYS[1]) then
  return {'fenced'}
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'absent'}
end
redis.call('HDEL', KEYS[1], 'json')
redis.call('HSET', KEYS[1], 'term', text(term))
local known = redis.call('HMGET', KEYS[1], 'position', 'idempotencyKey')
return {'hidden', known[1], known[2]}
`,
);

/** KEYS document, lease, parts, then each part's open and committed key. ARGV term, then each part's name. -> dropped | fenced */
export const dropParts = script(
  "allow-oom",
  `
if fenced(tonumber(ARGV[1]), KEYS[2], KEYS[1]) then
  return {'fenced'}
end
for i = 4, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
for i = 2, #ARGV do
  redis.call('SREM', KEYS[3], ARGV[i])
end
return {'dropped'}
`,
);

/** KEYS lease, index, idempotency. ARGV term, id, position, idempotencyKey. -> unlisted | fenced */
export const unlist = script(
  "allow-oom",
  `
local id, idempotencyKey = ARGV[2], ARGV[4]
if fenced(tonumber(ARGV[1]), KEYS[1], KEYS[1]) then
  return {'fenced'}
end
redis.call('ZREM', KEYS[2], ARGV[3])
local first = redis.call('HGET', KEYS[3], idempotencyKey)
if first and string.sub(first, 1, #id + 1) == id .. '\\n' then
  redis.call('HDEL', KEYS[3], idempotencyKey)
end
return {'unlisted'}
`,
);

/** KEYS document, lease. ARGV term. -> forgotten | fenced */
export const forgetDocument = script(
  "allow-oom",
  `
if fenced(tonumber(ARGV[1]), KEYS[2], KEYS[1]) then
  return {'fenced'}
end
redis.call('UNLINK', KEYS[1])
return {'forgotten'}
`,
);

/** KEYS lease, removing. ARGV term, id. -> ended | fenced */
export const endRemoval = script(
  "allow-oom",
  `
if fenced(tonumber(ARGV[1]), KEYS[1], KEYS[1]) then
  return {'fenced'}
end
redis.call('SREM', KEYS[2], ARGV[2])
return {'ended'}
`,
);

/** KEYS document, lease, parts, open. ARGV term, name, writer. -> begun | fenced | missing | published */
export const beginPart = script(
  "refuse",
  `
local term = tonumber(ARGV[1])
if fenced(term, KEYS[2], KEYS[1]) then
  return {'fenced'}
end
local known = redis.call('HMGET', KEYS[1], 'json', 'published')
if not known[1] then
  return {'missing'}
end
if known[2] == '1' then
  return {'published'}
end
redis.call('HSET', KEYS[1], 'term', text(term))
redis.call('UNLINK', KEYS[4])
redis.call('HSET', KEYS[4], 'writer', ARGV[3], 'count', '0')
redis.call('SADD', KEYS[3], ARGV[2])
return {'begun'}
`,
);

/** KEYS document, lease, open. ARGV term, writer, number, bytes. -> written | fenced | lost */
export const writeChunk = script(
  "refuse",
  `
if fenced(tonumber(ARGV[1]), KEYS[2], KEYS[1]) then
  return {'fenced'}
end
local known = redis.call('HMGET', KEYS[3], 'writer', 'count')
local number = tonumber(ARGV[3])
if known[1] ~= ARGV[2] or tonumber(known[2]) < number then
  return {'lost'}
end
if tonumber(known[2]) == number then
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[4], 'count', text(number + 1))
end
return {'written'}
`,
);

/** KEYS document, lease, open, committed. ARGV term, writer, count, sizeBytes, sha256, contentType. -> committed | fenced | published | lost */
export const commitPart = script(
  "refuse",
  `
if fenced(tonumber(ARGV[1]), KEYS[2], KEYS[1]) then
  return {'fenced'}
end
if redis.call('HGET', KEYS[4], 'writer') == ARGV[2] then
  return {'committed'}
end
local known = redis.call('HMGET', KEYS[3], 'writer', 'count')
if known[1] ~= ARGV[2] or known[2] ~= ARGV[3] or redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[3]) + 2 then
  return {'lost'}
end
if redis.call('HGET', KEYS[1], 'published') == '1' then
  return {'published'}
end
redis.call('HSET', KEYS[3], 'sizeBytes', ARGV[4], 'sha256', ARGV[5], 'contentType', ARGV[6])
redis.call('UNLINK', KEYS[4])
redis.call('RENAME', KEYS[3], KEYS[4])
return {'committed'}
`,
);

/** KEYS parts, open, committed. ARGV name, writer. */
export const abortPart = script(
  "allow-oom",
  `
if redis.call('HGET', KEYS[2], 'writer') == ARGV[2] then
  redis.call('UNLINK', KEYS[2])
  if redis.call('EXISTS', KEYS[3]) == 0 then
    redis.call('SREM', KEYS[1], ARGV[1])
  end
end
return {'aborted'}
`,
);

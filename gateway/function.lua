#!lua name=weir
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- The end of the path: judges whether a message was seen before and appends it, in one step. Atomic: after any crash
-- the streams, the memory of what was seen and the high-water mark are of the same moment.
--
-- weir_append, one call per batch of one tenant and one lane of one gateway:
--   KEYS  1 weir:{T}:hwm   high-water marks: hash, lane -> LSN of its last record
--         2 weir:{T}:seen  what was seen of each device and epoch: hash, "DEVICE EPOCH" -> state, see below
--   ARGV  1 prefix of all other keys, "weir:{T}:"; they are in the slot of KEYS
--         2 lane  3 LSN that the caller believes to be the lane's mark  4 window of once in s  5 its bound per device
--         6 the batch: MessagePack array of LSN, message, LSN, message, ... (gateway/parcel.h), LSNs rising
--   Answer, an array:
--     "behind", mark                  nothing was done: Redis has less than the caller believes; push again from there
--     "done", verdicts, missing, late the verdicts are one letter per message:
--                                     n new, d seen before, c same number with other content (kept in conflicts),
--                                     r this very LSN was executed before, x the same of a conflict
--                                     missing: sequence numbers that were jumped over; late: those of them that came
--     "stopped", verdicts, missing, late, error
--                                     the message after the last verdict could not be appended; nothing of it was
--
-- State of a device and epoch: struct ">dd" of the highest seq and of low, then two octets for each of the highest
-- seq and up to 63 before it, newest first: a fingerprint of its content, 0 where it was not seen. Every seq below low is
-- open: never seen. What left these 64 unseen is in the sorted set holes:DEVICE:EPOCH as "LO-HI" with score HI.
-- Judgement: in the 64: by its two octets; below low: new; in a hole: new; anything else: seen before.
--
-- Of one device and epoch at most HOLES_MAX holes are kept; then the two lowest become one, with what lies between them.
-- A number from between that comes again is stored twice: rather that than to take for seen what never came.

local VERSION = 1
local WINDOW = 64
local UNSEEN = "\0\0"
local HOLES_MAX = 1024
local CONFLICTS_MAX = 10000
local SUPERSEDED_KEPT_S = 30 * 86400
local SUPERSEDED_REAPED = 4
local ONCE_PRUNED_EVERY = 8
local ARGUMENTS_MAX = 512 -- of one redis.call; unpack has its limits

local call, try -- redis.call and redis.pcall, which are not there yet while the library is loaded

local function must(reply)
  if type(reply) == "table" and reply.err then
    error(reply)
  end
  return reply
end

local function now_of(batch)
  batch.now = batch.now or tonumber(call("TIME")[1])
  return batch.now
end

-- Found out before anything of a message is written: an append that fails later would leave half of it.
local function check_stream(batch, name)
  for _, each in ipairs({name, "conflicts"}) do
    local key = batch.prefix .. each
    local kind = call("TYPE", key).ok
    if kind ~= "stream" and kind ~= "none" then
      error({err = "WRONGTYPE " .. key .. " is a " .. kind})
    end
    batch.streams[each] = key
  end
end

local function hole_of(member)
  local lo, hi = string.match(member, "^(%d+)-(%d+)$")
  return tonumber(lo), tonumber(hi)
end

-- taken: a number that was just seen and shall not become a hole again.
local function bound_holes(key, taken)
  local a, b, c = unpack(call("ZRANGE", key, 0, 2))
  local _, a_hi = hole_of(a)
  local b_lo = hole_of(b)
  if a_hi < taken and taken < b_lo then
    a, b = b, c
  end
  local lo, _ = hole_of(a)
  local _, hi = hole_of(b)
  call("ZREM", key, a, b)
  call("ZADD", key, hi, string.format("%.0f-%.0f", lo, hi))
end

local function add_hole(key, lo, hi, taken)
  must(try("ZADD", key, hi, string.format("%.0f-%.0f", lo, hi)))
  if call("ZCARD", key) > HOLES_MAX then
    bound_holes(key, taken or -1)
  end
end

-- The hole that has seq, taken out; false if there is none.
local function take_from_hole(key, seq)
  local found = must(try("ZRANGEBYSCORE", key, seq, "+inf", "LIMIT", 0, 1))[1]
  if not found then
    return false
  end
  local lo, hi = hole_of(found)
  if seq < lo then
    return false
  end
  call("ZREM", key, found)
  if lo < seq then
    add_hole(key, lo, seq - 1, seq)
  end
  if seq < hi then
    add_hole(key, seq + 1, hi, seq)
  end
  return true
end

-- A gap that leaves the window one by one is still one hole.
local function extend_hole(key, lo, hi)
  local below = must(try("ZRANGEBYSCORE", key, lo - 1, lo - 1))[1]
  if below then
    call("ZREM", key, below)
    lo = hole_of(below)
  end
  add_hole(key, lo, hi)
end

-- Octets of what leaves the window when `shift` newer ones come in: its unseen ones become holes.
local function leave_window(key, highest, marks, shift)
  local count = #marks / 2
  local kept = math.max(0, math.min(count, WINDOW - shift))
  local run_hi = nil
  for at = kept, count - 1 do
    local seq = highest - at
    local unseen = string.sub(marks, 2 * at + 1, 2 * at + 2) == UNSEEN
    if unseen and not run_hi then
      run_hi = seq
    elseif not unseen and run_hi then
      extend_hole(key, seq + 1, run_hi)
      run_hi = nil
    end
  end
  if run_hi then
    extend_hole(key, highest - count + 1, run_hi)
  end
  if shift > WINDOW then
    extend_hole(key, highest + 1, highest + shift - WINDOW)
  end
  return string.sub(marks, 1, 2 * kept)
end

-- The states of a batch are read in one call and written in one: calls are most of what a message costs.
local function read_states(batch, items)
  local fields, asked = {}, {}
  for at = 2, #items, 2 do
    local message = items[at]
    if message[1] == "e" then
      local field = message[2] .. " " .. message[3]
      if not asked[field] then
        asked[field] = true
        fields[#fields + 1] = field
      end
    end
  end
  for from = 1, #fields, ARGUMENTS_MAX do
    local to = math.min(from + ARGUMENTS_MAX - 1, #fields)
    local states = try("HMGET", batch.seen_key, unpack(fields, from, to))
    if states.err then
      batch.unreadable = states
      return
    end
    for at = from, to do
      batch.states[fields[at]] = states[at - from + 1]
    end
  end
end

local function write_states(batch)
  local arguments = {}
  for field in pairs(batch.changed) do
    arguments[#arguments + 1] = field
    arguments[#arguments + 1] = batch.states[field]
    if #arguments == ARGUMENTS_MAX then
      call("HSET", batch.seen_key, unpack(arguments))
      arguments = {}
    end
  end
  if #arguments > 0 then
    call("HSET", batch.seen_key, unpack(arguments))
  end
end

local function highest_of(batch, field)
  local state = batch.states[field] or call("HGET", batch.seen_key, field)
  return state and struct.unpack(">d", state)
end

-- An epoch that was replaced is forgotten when no spool can hold anything of it any more. It is in the sorted set
-- superseded as "DEVICE EPOCH HIGHEST"; if its highest seq has grown since, an older one had only come late.
local function forget_epochs(batch, names)
  for _, name in ipairs(names) do
    local field, highest = string.match(name, "^(%S+ %d+) (%d+)$")
    local device, epoch = string.match(field or "", "^(%S+) (%d+)$")
    local now_highest = field and highest_of(batch, field)
    call("ZREM", batch.prefix .. "superseded", name)
    if not field then
      redis.log(redis.LOG_WARNING, "weir: a member of superseded that is none was removed")
    elseif now_highest and now_highest ~= tonumber(highest) then
      call("ZADD", batch.prefix .. "superseded", now_of(batch), string.format("%s %.0f", field, now_highest))
    elseif call("HGET", batch.prefix .. "epoch", device) ~= epoch then
      call("HDEL", batch.seen_key, field)
      call("DEL", batch.prefix .. "holes:" .. device .. ":" .. epoch)
      batch.states[field], batch.changed[field] = false, nil
    end
  end
end

local function begin_epoch(batch, device, epoch)
  local epochs, superseded, now = batch.prefix .. "epoch", batch.prefix .. "superseded", now_of(batch)
  local current = must(try("HGET", epochs, device))
  local old = must(try("ZRANGEBYSCORE", superseded, "-inf", now - SUPERSEDED_KEPT_S, "LIMIT", 0, SUPERSEDED_REAPED))
  call("HSET", epochs, device, epoch)
  if current and current ~= epoch then
    local field = device .. " " .. current
    call("ZADD", superseded, now, string.format("%s %.0f", field, highest_of(batch, field) or 0))
  end
  forget_epochs(batch, old)
end

-- Verdict, then the state to write if there is a new one, then how many were jumped over and how many came late.
local function judge_exact(batch, device, epoch, field, seq, mark)
  if batch.unreadable then
    error(batch.unreadable)
  end
  local state = batch.states[field]
  if not state then
    begin_epoch(batch, device, epoch)
    return "n", struct.pack(">dd", seq, seq) .. mark, 0, 0
  end
  local highest, low = struct.unpack(">dd", state)
  local count = (#state - 16) / 2
  if seq == highest + 1 and count < WINDOW then
    return "n", struct.pack(">dd", seq, low) .. mark .. string.sub(state, 17), 0, 0
  end
  if seq == highest + 1 and (string.byte(state, -1) ~= 0 or string.byte(state, -2) ~= 0) then
    return "n", struct.pack(">dd", seq, low) .. mark .. string.sub(state, 17, -3), 0, 0
  end
  local marks = string.sub(state, 17)
  local holes = batch.prefix .. "holes:" .. device .. ":" .. epoch
  if seq > highest then
    local shift = seq - highest
    marks = leave_window(holes, highest, marks, shift)
    marks = mark .. string.rep(UNSEEN, math.min(shift, WINDOW) - 1) .. marks
    return "n", struct.pack(">dd", seq, low) .. marks, shift - 1, 0
  end
  local at = highest - seq
  if at < count then
    local known = string.sub(marks, 2 * at + 1, 2 * at + 2)
    if known ~= UNSEEN then
      return known == mark and "d" or "c"
    end
    marks = string.sub(marks, 1, 2 * at) .. mark .. string.sub(marks, 2 * at + 3)
    return "n", struct.pack(">dd", highest, low) .. marks, 0, 1
  end
  if seq < low then
    if seq + 1 < low then
      add_hole(holes, seq + 1, low - 1)
    end
    return "n", struct.pack(">dd", highest, seq) .. marks, low - seq - 1, 0
  end
  if take_from_hole(holes, seq) then
    return "n", nil, 0, 1
  end
  return "d"
end

local function judge_windowed(batch, device, key)
  local set, now = batch.prefix .. "once:" .. device, now_of(batch)
  local expired = now - batch.once_s
  if must(try("ZADD", set, "NX", now, key)) == 0 then
    if tonumber(call("ZSCORE", set, key)) > expired then
      return "d"
    end
    call("ZADD", set, now, key)
  end
  local count = call("ZCARD", set)
  if count > batch.once_max or count % ONCE_PRUNED_EVERY == 0 then
    count = count - call("ZREMRANGEBYSCORE", set, "-inf", expired)
    if count > batch.once_max then
      call("ZREMRANGEBYRANK", set, 0, count - batch.once_max - 1)
    end
  end
  call("EXPIRE", set, batch.once_s + 1)
  return "n"
end

-- A conflict that comes again is kept once, and a device cannot fill Redis with them.
local function is_new_conflict(batch, message)
  local set = batch.prefix .. "conflicted"
  local name = string.format("%s %s %.0f %s", message[2], message[3], message[4], message[5])
  if must(try("ZADD", set, "NX", now_of(batch), name)) == 0 then
    return false
  end
  if call("ZCARD", set) > CONFLICTS_MAX then
    call("ZREMRANGEBYRANK", set, 0, 0)
  end
  return true
end

local function append_record(key, r)
  if #r == 13 then
    call("XADD", key, "*", "d", r[2], "n", r[3], "u", r[4], "t", r[5], "q", r[6], "k", r[7], "v", r[8], "s", r[9],
         "c", r[10], "a", r[11], "b", r[12], "m", r[13])
    return
  end
  call("XADD", key, "*", "d", r[2], "n", r[3], "u", r[4], "t", r[5], "q", r[6], "k", r[7], "v", r[8], "s", r[9],
       "c", r[10], "a", r[11], "b", r[12], "m", r[13], unpack(r, 14))
end

-- message: class, device, epoch, seq, mark, key, records; each record: stream, the values of the fields of
-- docs/streams.md in their order, then names and values of tags.
local function append(batch, message)
  local class, device = message[1], message[2]
  local verdict, field, state, missing, late = "n", nil, nil, 0, 0
  local streams, records = batch.streams, message[7]
  for at = 1, #records do
    local name = records[at][1]
    if not streams[name] then
      check_stream(batch, name)
    end
  end
  if class == "e" then
    field = device .. " " .. message[3]
    verdict, state, missing, late = judge_exact(batch, device, message[3], field, message[4], message[5])
  elseif class == "w" then
    verdict = judge_windowed(batch, device, message[6])
  end
  local keeps = verdict == "n" or (verdict == "c" and is_new_conflict(batch, message))
  if keeps then
    for at = 1, #records do
      append_record(streams[verdict == "c" and "conflicts" or records[at][1]], records[at])
    end
  end
  if state then
    batch.states[field], batch.changed[field] = state, true
  end
  return verdict, missing or 0, late or 0
end

-- What was executed before is not judged again, but whoever waits for it is told a conflict as a conflict.
local function repeated(batch, message)
  local state = message[1] == "e" and batch.states[message[2] .. " " .. message[3]]
  if not state then
    return "r"
  end
  local at = struct.unpack(">d", state) - message[4]
  if at < 0 or 2 * at + 18 > #state then
    return "r"
  end
  return string.sub(state, 2 * at + 17, 2 * at + 18) == message[5] and "r" or "x"
end

local function weir_append(keys, args)
  call, try = redis.call, redis.pcall
  local lane, expected = args[2], tonumber(args[3])
  local mark = tonumber(call("HGET", keys[1], lane) or "0")
  if mark < expected then
    return {"behind", string.format("%.0f", mark)}
  end
  local batch = {
    prefix = args[1],
    seen_key = keys[2],
    once_s = tonumber(args[4]),
    once_max = tonumber(args[5]),
    streams = {},
    states = {},  -- "DEVICE EPOCH" -> state, false where there is none
    changed = {}, -- the fields of those to write
  }
  local items = cmsgpack.unpack(args[6])
  local verdicts, missing, late, done, failure = {}, 0, 0, mark, nil
  read_states(batch, items)
  for at = 1, #items, 2 do
    local lsn, message = items[at], items[at + 1]
    if lsn <= mark then
      verdicts[#verdicts + 1] = repeated(batch, message)
    else
      local ok, verdict, jumped, came = pcall(append, batch, message)
      if not ok then
        failure = verdict
        break
      end
      verdicts[#verdicts + 1] = verdict
      missing, late, done = missing + jumped, late + came, lsn
    end
  end
  write_states(batch)
  if done > mark then
    call("HSET", keys[1], lane, string.format("%.0f", done))
  end
  if failure then
    local text = type(failure) == "table" and failure.err or tostring(failure)
    return {"stopped", table.concat(verdicts), missing, late, text}
  end
  return {"done", table.concat(verdicts), missing, late}
end

redis.register_function("weir_append", weir_append)
redis.register_function{function_name = "weir_version", flags = {"no-writes"}, callback = function() return VERSION end}

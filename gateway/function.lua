#!lua name=weir
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- The end of the path: judges whether a message was seen before and appends it, in one step. Atomic: after
-- any crash the streams, the memory of what was seen and the high-water mark are of the same moment.
--
-- weir_append, one call per batch of one tenant and one lane of one gateway:
--   KEYS  1 weir:{T}:hwm   high-water marks: hash, lane -> LSN of its last record
--         2 weir:{T}:seen  what was seen of each device and epoch: hash, "DEVICE EPOCH" -> state, see below
--   ARGV  1 prefix of all other keys, "weir:{T}:"; they are in the slot of KEYS
--         2 lane  3 LSN that the caller believes to be the lane's mark  4 window of once in s
--         5 its bound per device
--         6 the batch: MessagePack array of LSN, message, LSN, message, ... (gateway/parcel.h), LSNs rising
--   Answer, an array:
--     "behind", mark                  nothing was done: Redis has less than the caller believes; push anew
--     "done", verdicts, missing, late the verdicts are one letter per message:
--                                     n new, d seen before, c same number with other content (in conflicts),
--                                     r this very LSN was executed before, x the same of a conflict
--                                     missing: sequence numbers that were jumped over; late: those that came
--     "stopped", verdicts, missing, late, error
--                                     the message after the last verdict could not be appended, none of it
--
-- Counters: the hash total:DEVICE has for each of the device's counters, by local name, "TIME RAW TOTAL": its
-- newest reading and the total of what it has grown by since weir knows it, which never falls. A reading that
-- is not newer than that one, to the nanosecond, counts nothing. A newer one adds its distance to it; a lower
-- one is a rollover if the modulus is known and less than half of it lies between them, else a reset, which
-- adds the reading itself. The first one is the total. Numbers are decimals without sign and exponent, as
-- text, and are calculated as such: a double, which is enough for up to 15 digits, would lose those of a
-- larger one. A device has at most TOTALS_MAX counters; what comes later has no total.
--
-- Evidence: of a signed message, the values of the fields of the stream evidence (docs/streams.md). It is
-- appended when and only when its records are, so a duplicate adds none.
--
-- State of a device and epoch: struct ">dd" of the highest seq and of low, then two octets for each of the
-- highest seq and up to 63 before it, newest first: a fingerprint of its content, 0 where it was not seen.
-- Every seq below low is open: never seen. What left these 64 unseen is in the sorted set holes:DEVICE:EPOCH
-- as "LO-HI" with score HI.
-- Judgement: in the 64: by its two octets; below low: new; in a hole: new; anything else: seen before.
--
-- The epochs of a device that were replaced, which are in superseded among those of all devices, are in the hash
-- epochs:DEVICE, too, epoch -> HIGHEST: so that all that is known of a device is found when it is removed from the
-- registry (gateway/forget.c), whatever Redis has of others. The field ":listed" of epoch is the second since when that
-- is so: what was replaced before it is in superseded alone.
--
-- Of one device and epoch at most HOLES_MAX holes are kept; then the two lowest become one, with what lies
-- between them. A number from between that comes again is stored twice: rather that than to take for seen
-- what never came.

local VERSION = 4
local WINDOW = 64
local UNSEEN = "\0\0"
local HOLES_MAX = 1024
local CONFLICTS_MAX = 10000
local SUPERSEDED_KEPT_S = 30 * 86400
local SUPERSEDED_REAPED = 4
local ONCE_PRUNED_EVERY = 8
local ARGUMENTS_MAX = 512 -- of one redis.call; unpack has its limits
local TOTALS_MAX = 1024
local QUICK = 15 -- digits that a double keeps, whichever they are
local QUICK_LIMIT = 1e15
local CHUNK = 14 -- digits that are calculated with at once
local CHUNK_LIMIT = 1e14

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

-- An epoch that was replaced is forgotten when no spool can hold anything of it any more. It is in the sorted
-- set superseded as "DEVICE EPOCH HIGHEST"; if its highest seq has grown since, an older one had only come
-- late. What is wrong with the hash of another device hinders nobody.
local function forget_epochs(batch, names)
  for _, name in ipairs(names) do
    local field, highest = string.match(name, "^(%S+ %d+) (%d+)$")
    local device, epoch = string.match(field or "", "^(%S+) (%d+)$")
    local now_highest = field and highest_of(batch, field)
    local replaced = batch.prefix .. "epochs:" .. (device or "")
    call("ZREM", batch.prefix .. "superseded", name)
    if not field then
      redis.log(redis.LOG_WARNING, "weir: a member of superseded that is none was removed")
    elseif now_highest and now_highest ~= tonumber(highest) then
      local text = string.format("%.0f", now_highest)
      call("ZADD", batch.prefix .. "superseded", now_of(batch), field .. " " .. text)
      try("HSET", replaced, epoch, text)
    elseif call("HGET", batch.prefix .. "epoch", device) ~= epoch then
      call("HDEL", batch.seen_key, field)
      call("DEL", batch.prefix .. "holes:" .. device .. ":" .. epoch)
      try("HDEL", replaced, epoch)
      batch.states[field], batch.changed[field] = false, nil
    end
  end
end

local function begin_epoch(batch, device, epoch)
  local epochs, superseded, now = batch.prefix .. "epoch", batch.prefix .. "superseded", now_of(batch)
  local current, listed = unpack(must(try("HMGET", epochs, device, ":listed")))
  local old = must(try("ZRANGEBYSCORE", superseded, "-inf", now - SUPERSEDED_KEPT_S, "LIMIT", 0,
                       SUPERSEDED_REAPED))
  if current and current ~= epoch then
    local field = device .. " " .. current
    local highest = string.format("%.0f", highest_of(batch, field) or 0)
    must(try("HSET", batch.prefix .. "epochs:" .. device, current, highest))
    call("ZADD", superseded, now, field .. " " .. highest)
  end
  call("HSET", epochs, device, epoch, ":listed", listed or now)
  call("DEL", batch.prefix .. "holes:" .. device .. ":" .. epoch) -- of a tenant that was removed
  forget_epochs(batch, old)
end

-- Verdict, then the state to write if there is a new one, then how many were jumped over and how many came
-- late.
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

-- The digits of a number, as if it had `scale` of them behind its point: chunks, the lowest first.
local function chunks_of(text, scale)
  local whole, fraction = string.match(text, "^(%d+)%.?(%d*)$")
  local digits = whole .. fraction .. string.rep("0", scale - #fraction)
  local chunks = {}
  for last = #digits, 1, -CHUNK do
    chunks[#chunks + 1] = tonumber(string.sub(digits, math.max(1, last - CHUNK + 1), last))
  end
  return chunks
end

local function scale_of(text)
  local point = string.find(text, ".", 1, true)
  return point and #text - point or 0
end

-- Without zeros before its first digit and behind its last one.
local function text_of(chunks, scale)
  local parts = {}
  for at = #chunks, 1, -1 do
    parts[#parts + 1] = string.format("%014.0f", chunks[at])
  end
  local digits = string.rep("0", scale) .. table.concat(parts)
  local whole = string.match(string.sub(digits, 1, #digits - scale), "^0*(%d*)$")
  local fraction = string.match(string.sub(digits, #digits - scale + 1), "^(.-)0*$")
  return (whole == "" and "0" or whole) .. (fraction == "" and "" or "." .. fraction)
end

local function sum_of(a, b)
  local sum, carry = {}, 0
  for at = 1, math.max(#a, #b) do
    local digits = (a[at] or 0) + (b[at] or 0) + carry
    carry = digits >= CHUNK_LIMIT and 1 or 0
    sum[at] = digits - carry * CHUNK_LIMIT
  end
  if carry > 0 then
    sum[#sum + 1] = carry
  end
  return sum
end

-- a - b; nil if that is below zero.
local function difference_of(a, b)
  local difference, borrowed = {}, 0
  for at = 1, math.max(#a, #b) do
    local digits = (a[at] or 0) - (b[at] or 0) - borrowed
    borrowed = digits < 0 and 1 or 0
    difference[at] = digits + borrowed * CHUNK_LIMIT
  end
  return borrowed == 0 and difference or nil
end

-- Of two times that a double cannot tell apart, only the digits can say it.
local function is_later(time, last)
  local a, b = time + 0, last + 0
  if a ~= b then
    return a > b
  end
  if time == last then
    return false
  end
  local low, high = last, time
  if string.sub(time, 1, 1) == "-" then
    low, high = string.sub(time, 2), string.sub(last, 2)
  end
  return difference_of(chunks_of(low, 9), chunks_of(high, 9)) == nil
end

-- What a counter that went down to `raw` has grown by if it rolled over; nil if it rather was reset.
local function rolled_over(raw, last, modulus)
  local rest = difference_of(modulus, last)
  local step = rest and sum_of(raw, rest)
  return step and difference_of(sum_of(step, step), modulus) == nil and step or nil
end

-- The total after a reading that is not the last one. Numbers of common length are calculated as whole
-- doubles: exact below 10^15, and of a decimal of 15 digits a double gives all back. nil: they are too long.
local function quick_total(raw, last, total, modulus)
  if #raw > QUICK or #last > QUICK or #total > QUICK or #modulus > QUICK then
    return nil
  end
  local scale = math.max(scale_of(raw), scale_of(last), scale_of(total), scale_of(modulus))
  local power = 10 ^ scale
  local now, before = math.floor(raw * power + 0.5), math.floor(last * power + 0.5)
  local limit = modulus == "" and 0 or math.floor(modulus * power + 0.5)
  local step = now - before
  if step < 0 then
    step = step + limit
    if before >= limit or 2 * step >= limit then
      step = now
    end
  end
  local sum = math.floor(total * power + 0.5) + step
  if sum >= QUICK_LIMIT or now >= QUICK_LIMIT or before >= QUICK_LIMIT or limit >= QUICK_LIMIT then
    return nil
  end
  local text = string.format("%.15g", sum / power)
  return not string.find(text, "e", 1, true) and text or nil
end

local function long_total(raw, last, total, modulus)
  local scale = math.max(scale_of(raw), scale_of(last), scale_of(total), scale_of(modulus))
  local now, before = chunks_of(raw, scale), chunks_of(last, scale)
  local step = difference_of(now, before)
  if not step then
    step = modulus ~= "" and rolled_over(now, before, chunks_of(modulus, scale)) or now
  end
  return text_of(sum_of(chunks_of(total, scale), step), scale)
end

-- The total after a reading, and what is known then.
local function count_reading(state, time, raw, modulus)
  local last_time, last, total = string.match(state or "", "^(%-?%d+%.?%d*) (%d+%.?%d*) (%d+%.?%d*)$")
  if not last_time then
    last_time, last, total = nil, raw, raw
  elseif not is_later(time, last_time) then
    return total, state
  end
  if raw ~= last then
    total = quick_total(raw, last, total, modulus) or long_total(raw, last, total, modulus)
  end
  return total, time .. " " .. raw .. " " .. total
end

-- Looks up the counters of a message: before it is judged, because their key may be of another type.
local function read_totals(batch, message)
  local marks, records, wanted = message[8], message[7], {}
  for at = 1, #marks, 4 do
    local r = records[marks[at]]
    local device, name = r[2], string.sub(r[3], marks[at + 1] + 1)
    local known = batch.totals[device] or {}
    batch.totals[device] = known
    if known[name] == nil then
      known[name] = false
      wanted[device] = wanted[device] or {}
      table.insert(wanted[device], name)
    end
  end
  for device, names in pairs(wanted) do
    for from = 1, #names, ARGUMENTS_MAX do
      local to = math.min(from + ARGUMENTS_MAX - 1, #names)
      local states = must(try("HMGET", batch.prefix .. "total:" .. device, unpack(names, from, to)))
      for at = from, to do
        batch.totals[device][names[at]] = states[at - from + 1]
      end
    end
  end
end

-- Whether the device may have one more counter.
local function has_room(batch, device)
  batch.counters[device] = batch.counters[device] or call("HLEN", batch.prefix .. "total:" .. device)
  if batch.counters[device] >= TOTALS_MAX then
    return false
  end
  batch.counters[device] = batch.counters[device] + 1
  return true
end

-- Counts the readings of a new message and puts the totals into its records (field w).
local function count_readings(batch, message)
  local marks, records = message[8], message[7]
  for at = 1, #marks, 4 do
    local r = records[marks[at]]
    local device, name = r[2], string.sub(r[3], marks[at + 1] + 1)
    local known = batch.totals[device]
    if marks[at + 2] ~= "" and (known[name] or has_room(batch, device)) then
      local total, state = count_reading(known[name], r[5], marks[at + 2], marks[at + 3])
      r[14] = total
      if state ~= known[name] then
        known[name] = state
        batch.counted[device] = batch.counted[device] or {}
        batch.counted[device][name] = state
      end
    end
  end
end

local function write_totals(batch)
  for device, states in pairs(batch.counted) do
    local arguments = {}
    for name, state in pairs(states) do
      arguments[#arguments + 1] = name
      arguments[#arguments + 1] = state
      if #arguments == ARGUMENTS_MAX then
        call("HSET", batch.prefix .. "total:" .. device, unpack(arguments))
        arguments = {}
      end
    end
    if #arguments > 0 then
      call("HSET", batch.prefix .. "total:" .. device, unpack(arguments))
    end
  end
end

local function append_record(key, r)
  if #r == 15 then
    call("XADD", key, "*", "d", r[2], "n", r[3], "u", r[4], "t", r[5], "q", r[6], "k", r[7], "v", r[8],
         "s", r[9], "c", r[10], "a", r[11], "b", r[12], "m", r[13], "w", r[14], "y", r[15])
    return
  end
  call("XADD", key, "*", "d", r[2], "n", r[3], "u", r[4], "t", r[5], "q", r[6], "k", r[7], "v", r[8],
       "s", r[9], "c", r[10], "a", r[11], "b", r[12], "m", r[13], "w", r[14], "y", r[15], unpack(r, 16))
end

local function append_proof(key, e)
  call("XADD", key, "*", "m", e[1], "d", e[2], "f", e[3], "k", e[4], "ct", e[5], "r", e[6], "p", e[7],
       "v", e[8])
end

-- A message that a gateway of version 1 has spooled: records without w and y, no counters.
local function renew(message)
  message[8] = {}
  for _, r in ipairs(message[7]) do
    table.insert(r, 14, "")
    table.insert(r, 15, "")
  end
end

-- message: class, device, epoch, seq, mark, key, records, counters, evidence (of a signed one only); each
-- record: stream, the values of the fields of docs/streams.md in their order, then names and values of tags;
-- of each counter four values: the number of its record, how many octets of its name stand before the local
-- one, its reading ("": too long to count), its modulus or "".
local function append(batch, message)
  local class, device = message[1], message[2]
  local verdict, field, state, missing, late = "n", nil, nil, 0, 0
  if not message[8] then
    renew(message)
  end
  local streams, records, counts, proof = batch.streams, message[7], #message[8] > 0, message[9]
  for at = 1, #records do
    local name = records[at][1]
    if not streams[name] then
      check_stream(batch, name)
    end
  end
  if proof and not streams.evidence then
    check_stream(batch, "evidence")
  end
  if counts then
    read_totals(batch, message)
  end
  if class == "e" then
    field = device .. " " .. message[3]
    verdict, state, missing, late = judge_exact(batch, device, message[3], field, message[4], message[5])
  elseif class == "w" then
    verdict = judge_windowed(batch, device, message[6])
  end
  if counts and verdict == "n" then
    count_readings(batch, message)
  end
  local keeps = verdict == "n" or (verdict == "c" and is_new_conflict(batch, message))
  if keeps then
    for at = 1, #records do
      append_record(streams[verdict == "c" and "conflicts" or records[at][1]], records[at])
    end
    if proof then
      append_proof(streams.evidence, proof)
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
    totals = {},   -- device -> local name -> state, false where there is none
    counters = {}, -- device -> how many it has
    counted = {},  -- device -> local name -> state to write
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
  write_totals(batch)
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
redis.register_function{function_name = "weir_version", flags = {"no-writes"},
                        callback = function() return VERSION end}

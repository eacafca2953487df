"""What a Redis does in one step, in Lua. Each script touches the keys of one state, which lie in one slot of a cluster.

The state is a hash: `version`, `killed`, `kills` (how often somebody killed), `killed_at` (microseconds, by the clock
of the server) and `state`, the whole snapshot as JSON. What `killed` says holds, whatever stands in the snapshot. The
workers are a hash: for each one the moment of its last report, when it had obeyed which kill, its version, whether it
is killed, and its name.
"""

from __future__ import annotations

from typing import Final

# KEYS: state. ARGV: the version it must have, the kills that were seen, the new version, killed, the snapshot,
# the channel, 1 for a kill. A kill that came meanwhile outlives what was decided without it. Answers 1 if written.
WRITE: Final = """
local have = redis.call('HMGET', KEYS[1], 'version', 'kills')
local version, kills = tonumber(have[1] or 0), tonumber(have[2] or 0)
local is_due = version == tonumber(ARGV[1])
local killed = ARGV[4]
if ARGV[7] == '1' then
  local time = redis.call('TIME')
  killed = '1'
  redis.call('HSET', KEYS[1], 'kills', string.format('%.0f', kills + 1), 'killed', '1',
             'killed_at', string.format('%.0f', time[1] * 1000000 + time[2]))
elseif kills ~= tonumber(ARGV[2]) then
  killed = '1'
end
if is_due and ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'version', ARGV[3], 'killed', killed, 'state', ARGV[5])
  redis.call('PUBLISH', ARGV[6], ARGV[3] .. ' ' .. killed)
  return {1, killed}
end
if ARGV[7] == '1' then
  redis.call('PUBLISH', ARGV[6], string.format('%.0f', version) .. ' 1')
end
return {0, killed}
"""

# KEYS: state, workers. ARGV: the worker's field, its version, killed, its pid and host. Notes when it had obeyed the
# last kill: when it first said so, at the state's version or a later one; 0, if nothing was heard of it before, so that
# it had nothing to obey. Answers the state's version and killed.
REPORT: Final = """
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local state = redis.call('HMGET', KEYS[1], 'version', 'killed', 'killed_at')
local since, kill = '0', '0'
if ARGV[3] == '1' and state[3] then
  local before = redis.call('HGET', KEYS[2], ARGV[1])
  local begun, obeyed = string.match(before or '', '^%d+ (%d+) (%d+) ')
  if obeyed == state[3] then
    since, kill = begun, obeyed
  elseif tonumber(ARGV[2]) >= tonumber(state[1] or 0) then
    since, kill = before and now or '0', state[3]
  end
end
local said = {now, since, kill, ARGV[2], ARGV[3], ARGV[4]}
redis.call('HSET', KEYS[2], ARGV[1], table.concat(said, ' '))
redis.call('EXPIRE', KEYS[2], 3600)
return {state[1], state[2]}
"""

# KEYS: state, workers. Answers the server's time, when somebody killed last, and all workers.
ROLL: Final = """
local time = redis.call('TIME')
return {string.format('%.0f', time[1] * 1000000 + time[2]),
        redis.call('HGET', KEYS[1], 'killed_at') or '0', redis.call('HGETALL', KEYS[2])}
"""

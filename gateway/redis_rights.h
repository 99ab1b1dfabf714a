// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The least rights with which weir works in a Redis: what the private Redis gives to the user that weir connects as,
 * and what docs/weir.acl shows to those who bring their own (a test compares them). Every command that weir, its CLI
 * or its Function uses stands here once; a new one must be added, or the private Redis refuses it at the first run.
 *
 * Keys are the user's ~weir:*, there are no channels, and nothing here changes the server.
 */
#pragma once

#define REDIS_RIGHTS_USER "weir"

#define REDIS_RIGHTS_KEYS "~weir:* resetchannels -@all"

/* Talking; looking at the server (CONFIG GET may be taken away: then appendfsync cannot be checked). */
#define REDIS_RIGHTS_SERVER                                                                                            \
    "+ping +role +info +time +wait +asking +cluster|slots +memory|usage +config|get"

/* Streams of observations, and what the Function does beside XADD. */
#define REDIS_RIGHTS_STREAMS                                                                                           \
    "+fcall +fcall_ro +function|list +type +xadd +xlen +xrange +xrevrange +xread +xtrim +xinfo|stream "                \
    "+xinfo|groups +xinfo|consumers +xpending +hget +hset +hmget +hdel +hgetall +hlen +zadd +zcard +zscore "           \
    "+zrange +zrangebyscore +zrem +zremrangebyscore "                                                                  \
    "+zremrangebyrank +expire +pexpire"

/* The registry. */
#define REDIS_RIGHTS_REGISTRY                                                                                          \
    "+multi +exec +discard +watch +unwatch +exists +del +unlink +sadd +srem +scard +sismember +smembers +sscan"

/* To load the Function; without it an administrator loads it (docs/redis.md). */
#define REDIS_RIGHTS_FUNCTION "+function|load"

#define REDIS_RIGHTS                                                                                         \
    REDIS_RIGHTS_KEYS " " REDIS_RIGHTS_SERVER " " REDIS_RIGHTS_STREAMS " " REDIS_RIGHTS_REGISTRY             \
                      " " REDIS_RIGHTS_FUNCTION

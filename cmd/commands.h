// SPDX-License-Identifier: GPL-3.0-or-later
/* The subcommands of weir. Each takes its own name as argv[0] and returns the exit status of the process. */
#pragma once

int cmd_serve(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_tenant(int argc, char **argv);
int cmd_device(int argc, char **argv);
int cmd_kek(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_batch(int argc, char **argv);
int cmd_ca(int argc, char **argv);
int cmd_group(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_codec(int argc, char **argv);
int cmd_decode(int argc, char **argv);
int cmd_rule(int argc, char **argv);
int cmd_profile(int argc, char **argv);
int cmd_stream(int argc, char **argv);
int cmd_spool(int argc, char **argv);
int cmd_sign(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_sim(int argc, char **argv);

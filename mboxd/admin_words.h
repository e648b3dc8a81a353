/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_ADMIN_WORDS_H
#define FIFE_MBOXD_ADMIN_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

/*
 * The options of a command (enum mbox_admin_verb) into *out. 0, or -1 and why: then the
 * command is wrong. now: seconds since 1970, for ages.
 */
int admin_parse(int verb, int argc, char **argv, int64_t now, struct msg_mbox_admin *out,
    char *why, size_t cap);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_EXECD_SYSEXITS_H
#define FIFE_EXECD_SYSEXITS_H

/*
 * What a program's end means for the message: sysexits(3), and what qmail's programs
 * use. An unknown status is a mistake in the program, which is no reason to return mail.
 */

#include <stddef.h>

#include "common/msg.h"

/*
 * wait_status as of waitpid(2); output: what it wrote, of which the first line with
 * something in it becomes the text. An enhanced status code (RFC 3463) in front of that
 * line is taken when its class agrees.
 */
void sysexits_judge(const char *command, int wait_status, const char *output, size_t len,
    struct msg_exec_ran *);

#endif

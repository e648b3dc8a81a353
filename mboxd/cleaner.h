/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_CLEANER_H
#define FIFE_MBOXD_CLEANER_H

/* Children that empty discarded directories (dirs.h), each as the mailbox's uid. */

#include <stdint.h>
#include <sys/types.h>

void cleaner_start(const char *trash, uint32_t uid);
/* What an earlier life did not finish to remove, if there is any. */
void cleaner_resume(void);
/* A child has ended. more: go on with what is left. */
void cleaner_ended(pid_t, int more);

#endif

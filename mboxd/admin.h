/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_ADMIN_H
#define FIFE_MBOXD_ADMIN_H

/*
 * Root's commands on one mailbox: the words become a request to the mailbox's own
 * process, which does the work and writes or reads the descriptor that came along; no
 * mail passes through here.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/ctl.h"

void admin_purge(struct ctl *, int argc, char **argv);
void admin_reindex(struct ctl *, int argc, char **argv);
void admin_export(struct ctl *, int argc, char **argv);
void admin_import(struct ctl *, int argc, char **argv);
/* ADDRESS [list [FOLDER]] | set FOLDER IDENTIFIER RIGHTS | delete FOLDER IDENTIFIER */
void admin_acl(struct ctl *, int argc, char **argv);

/* "alice@example.test" or "example.test/alice" to the name of a mailbox that is there,
 * and its uid. -1: there is none. */
int admin_find(const char *address, char *name, size_t cap, uint32_t *uid);

#endif

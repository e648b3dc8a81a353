/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTH_TEXT_H
#define FIFE_AUTH_TEXT_H

/*
 * The directory as readable text (fife-directory.5), one entry a line:
 *	domain NAME
 *	user ADDRESS uid=N disabled=0 quota=N forward=A,B forward-keep=0 created=N [hash…]
 *	alias ADDRESS TARGET…
 *	route DOMAIN URL
 *	access allow|deny NETWORK|DOMAIN|ADDRESS
 * dump writes it (hashes only with --secrets), load adds what is in it; mailbox
 * directories are made as for `user add`.
 */

#include "common/ctl.h"

void text_dump(struct ctl *, int, char **);
void text_load(struct ctl *, int, char **);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSD_ANCHORS_H
#define FIFE_DNSD_ANCHORS_H

/*
 * Trust anchors of DNSSEC: read from a file before the sandbox, and followed when their
 * zones change keys (RFC 5011), which the library does. Its state is a file a zone in
 * the daemon's root directory, anchor.ZONE; beside it anchor.ZONE.from keeps what it
 * began with: when the administrator or the system names other anchors, it begins anew.
 */

#include <stddef.h>
#include <stdint.h>

struct ub_ctx;

#define ANCHORS_HOLD_DEFAULT_S (30 * 86400) /* RFC 5011, 2.4.1 */

/* As root, before the sandbox; root: the daemon's directory, which becomes the working
 * directory as it is in the sandbox. 0 or -1 (logged). */
int anchors_open(const char *path, int follow, const char *root);
size_t anchors_count(void);
/* Give them to a context. hold_s: of RFC 5011. 0 or -1 (logged). */
int anchors_apply(struct ub_ctx *, uint32_t hold_s);

/* i-th zone that is followed, NULL at the end. */
const char *anchors_zone(size_t i);

/* A key in a state file. */
struct anchor_key {
	unsigned int tag;
	char state[16]; /* "valid", "pending", "missing", "revoked", "removed", "start" */
	int64_t since;
};
/* A line of the library's state file. 1; 0: there is no key in it. */
int anchors_parse_line(const char *line, struct anchor_key *);
/* Those of the i-th zone; n: room. */
size_t anchors_keys(size_t i, struct anchor_key *, size_t n);
/* Log what has changed since the last time. */
void anchors_note_changes(void);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ENGINE_H
#define FIFE_ENGINE_H

/*
 * The virus engine (libclamav) with the guards that it needs: it calls a message clean
 * when it could not write its temporary files, and tells so only through its
 * message callback, or not at all. So an error message during a scan makes the result an
 * error, a test file is written and the room on the disk is looked at for each scan, and
 * a text that must be found (the canary) is looked for from time to time. One engine a
 * process.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

struct engine;

struct engine_settings {
	const char *signatures;  /* file or directory of signatures; "" for none */
	const char *prepare_dir; /* writable now, for the canary's signature */
	const char *temp_dir;    /* of temporary files, as it is called when scans run */
	uint64_t scan_size_max;  /* octets */
	uint32_t timeout_ms;     /* the engine gives up after half of it */
};

/*
 * Loads the signatures; those that cannot be read are logged and left out. NULL when
 * there can be no engine (logged). The caller frees.
 */
struct engine *engine_new(const struct engine_settings *);
void engine_free(struct engine *);
/* How many signatures there are, without the canary's. */
unsigned int engine_signatures(const struct engine *);

/*
 * Scans all of fd, wherever its offset stands. SCAN_FOUND: signature has the name;
 * SCAN_ERROR: why has the reason; SCAN_CLEAN only when the engine could do its work.
 */
enum scan_status engine_scan(struct engine *, int fd, char *signature,
    size_t signature_cap, char *why, size_t why_cap);
/* 1 if the canary is found; 0 with the reason in why. */
int engine_canary(struct engine *, char *why, size_t why_cap);

#endif

/*
 * Repair of a damaged spool. Nothing is thrown away: what can be read is written
 * anew elsewhere, so that the damaged places are needed no more; what cannot is held and
 * named; a content whose record is lost is kept under another name.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queued/qid.h"
#include "queued/spool_private.h"
#include "queued/sys.h"

static int
is_damaged(struct spool *sp, uint32_t seg)
{
	struct journal_segment s;

	for (size_t i = 0; seg != 0 && journal_segment_at(sp->j, i, &s); i++) {
		if (s.seq == seg)
			return s.damaged;
	}
	return 0;
}

static int
is_in_damaged(struct spool *sp, const struct qmsg *m)
{
	if (journal_damaged(sp->j) == 0)
		return 0;
	if (is_damaged(sp, m->at.seg) || is_damaged(sp, m->flags_seg))
		return 1;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (is_damaged(sp, m->rcpt[i].address.seg) ||
		    is_damaged(sp, m->rcpt[i].result.seg))
			return 1;
	}
	return 0;
}

int
spool_repair(struct spool *sp, struct qmsg *m, const char **what)
{
	int rv;

	*what = NULL;
	rv = spool_verify(sp, m, what);
	if (rv == -1) {
		if (!(m->flags & QM_HELD))
			(void)spool_change(sp, m, m->flags | QM_HELD, 0, NULL, 0);
		return -1;
	}
	if (rv == 0 && !is_in_damaged(sp, m))
		return 0;
	if (spool_rewrite(sp, m) == -1) {
		*what = "it cannot be written anew";
		return -1;
	}
	journal_commit(sp->j, 0, NULL, NULL);
	return 1;
}

uint64_t
spool_orphans(struct spool *sp, int keep, void (*cb)(void *, const char *), void *arg)
{
	uint64_t n = 0;

	for (int i = 0; i < 256; i++) {
		char dir[8];
		struct dirent *e;
		DIR *d;
		int fd;

		snprintf(dir, sizeof(dir), "%02x", (unsigned int)i);
		fd = openat(
		    sp->body_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd == -1)
			continue;
		d = fdopendir(fd);
		if (d == NULL) {
			close(fd);
			continue;
		}
		while ((e = readdir(d)) != NULL) {
			char from[QID_SIZE + 8], to[QID_SIZE + 8];
			uint64_t id;
			struct qmsg *m;

			/* Younger ones may be on their way in. */
			if (e->d_name[0] == '.' || qid_parse(e->d_name, &id) == -1 ||
			    id >= sp->first_id)
				continue;
			m = index_find(&sp->ix, id);
			if (m != NULL && m->flags & QM_FILE)
				continue;
			n++;
			cb(arg, e->d_name);
			if (!keep)
				continue;
			body_path(id, from, sizeof(from));
			snprintf(to, sizeof(to), "lost.%.*s", QID_SIZE, e->d_name);
			(void)sys_rename(sp->body_fd, from, to);
		}
		closedir(d);
	}
	if (keep && n > 0)
		(void)sys_fsync(sp->body_fd);
	return n;
}

int
spool_repair_end(struct spool *sp, uint64_t damaged)
{
	if (spool_checkpoint(sp) == -1)
		return -1;
	if (damaged == 0) {
		journal_forgive(sp->j);
		spool_set_degraded(sp, "");
	}
	return 0;
}

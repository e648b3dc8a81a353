/* SPDX-License-Identifier: ISC */
/*
 * Several messages that are added as one (RFC 9051, 6.4.7; RFC 3502): the log says before
 * the first which UIDs they will have, and after the last that all are there. What a
 * process that was killed between the two has left is taken out when the log is read.
 *
 * Only then: after a fall of the machine the end of the log may be missing, and what it
 * said. The files decide, and some of the messages may be there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/log.h"
#include "mailbox/store_int.h"

enum store_error
batch_begin(struct folder *f, size_t n)
{
	enum store_error error;
	struct log_record r;

	f->batch_n = 0;
	/* None of them may need an UID that was not reserved. */
	if ((error = folder_reserve(f, n)) != STORE_OK)
		return error;
	log_begin(&r, LOG_BATCH, f);
	log_u32(&r, f->uidnext);
	log_u32(&r, (uint32_t)n);
	if ((error = log_write(f->store, &r)) != STORE_OK)
		return error;
	f->batch_first = f->uidnext;
	f->batch_n = (uint32_t)n;
	return STORE_OK;
}

enum store_error
folder_batch_begin(struct folder *f, size_t n)
{
	f->batch_n = 0;
	return n < 2 ? STORE_OK : batch_begin(f, n);
}

enum store_error
batch_end_moved(struct folder *f, struct folder *from, const uint32_t *uids,
    const uint32_t *new_uids, size_t n)
{
	uint32_t *gone = reallocarray(NULL, n + 1, sizeof(*gone));
	enum store_error error;
	struct log_record r;
	size_t k = 0;

	if (gone == NULL)
		return store_errno("MOVE");
	log_begin(&r, LOG_MOVED, f);
	log_u32(&r, from->id);
	log_u64(&r, from->modseq + 1);
	for (size_t i = 0; i < n; i++)
		if (new_uids[i] != 0)
			log_u32(&r, gone[k++] = uids[i]);
	if ((error = log_write(f->store, &r)) == STORE_OK) {
		f->batch_n = 0;
		if (k > 0)
			folder_remove(from, gone, k, from->modseq + 1);
	}
	free(gone);
	return error;
}

enum store_error
folder_batch_end(struct folder *f)
{
	enum store_error error;
	struct log_record r;

	if (f->batch_n == 0)
		return STORE_OK;
	log_begin(&r, LOG_BATCH_END, f);
	error = log_write(f->store, &r);
	/* Who reads that log takes out what has one of these UIDs, whoever it is. */
	if (error != STORE_OK) {
		if (f->uidnext < f->batch_first + f->batch_n)
			f->uidnext = f->batch_first + f->batch_n;
		f->store->batch_owed = f->id;
	}
	f->batch_n = 0;
	return error;
}

/* Files with UIDs of the batch, also those that the log does not know. */
static void
unlink_files(struct folder *f)
{
	int fd = openat(f->curfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct maildir_name m;
	struct dirent *e;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (strlen(e->d_name) > MAILDIR_NAME_MAX)
			continue;
		maildir_name_parse(e->d_name, &m);
		if (m.has_uid && m.uidvalidity == f->uidvalidity &&
		    m.uid >= f->batch_first && m.uid - f->batch_first < f->batch_n)
			(void)unlinkat(f->curfd, e->d_name, 0);
	}
	closedir(d);
}

void
folder_batch_undo(struct folder *f)
{
	uint32_t *uids;
	size_t from, n = 0;
	struct log_record r;

	log_info("%s: some of %u messages were added when a process ended; they are "
		 "taken out",
	    f->name, f->batch_n);
	from = folder_find(f, f->batch_first, NULL);
	while (
	    from + n < f->n && folder_at(f, from + n)->uid - f->batch_first < f->batch_n)
		n++;
	unlink_files(f);
	if (n > 0 && (uids = reallocarray(NULL, n, sizeof(*uids))) != NULL) {
		log_begin(&r, LOG_EXPUNGE, f);
		log_u64(&r, f->modseq + 1);
		for (size_t i = 0; i < n; i++)
			log_u32(&r, uids[i] = f->msgs[from + i].uid);
		(void)log_write(f->store, &r);
		folder_remove(f, uids, n, f->modseq + 1);
		free(uids);
	}
	if (f->uidnext < f->batch_first + f->batch_n)
		f->uidnext = f->batch_first + f->batch_n;
	f->needs_scan = true;
	f->dirty = true;
	(void)folder_batch_end(f);
}

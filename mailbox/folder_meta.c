/* SPDX-License-Identifier: ISC */
/*
 * The file fife-folder in each folder's directory: what a folder needs to be the
 * same one after its index is lost. Lines of a word and its value:
 *	uidvalidity 1732475268
 *	uidnext 2049		no UID from here on was ever given
 *	modseq 8193		likewise
 *	mailboxid 0123456789abcdef0123456789abcdef
 *	special junk
 *	keyword NAME		in order; the first 26 are letters in file names
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "common/proto/encoding.h"
#include "mailbox/store_int.h"

#define META_MAX (1024 * 1024)

static const struct {
	const char *word;
	uint32_t bit;
} specials[] = {
	{ "junk", FOLDER_JUNK },
	{ "sent", FOLDER_SENT },
	{ "trash", FOLDER_TRASH },
	{ "drafts", FOLDER_DRAFTS },
	{ "archive", FOLDER_ARCHIVE },
};

/* The names that mail programs give to the folders which they need. Many do not say what
 * it is for, and the next program would make another one. A guest makes none at the top.
 */
uint32_t
folder_use_of_name(const struct store *s, const char *name)
{
	static const struct {
		const char *name;
		uint32_t use;
	} known[] = {
		{ "Archive", FOLDER_ARCHIVE },
		{ "Archives", FOLDER_ARCHIVE },
		{ "Deleted Items", FOLDER_TRASH },
		{ "Deleted Messages", FOLDER_TRASH },
		{ "Drafts", FOLDER_DRAFTS },
		{ "Junk", FOLDER_JUNK },
		{ "Sent", FOLDER_SENT },
		{ "Sent Items", FOLDER_SENT },
		{ "Sent Messages", FOLDER_SENT },
		{ "Trash", FOLDER_TRASH },
	};
	uint32_t use = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i].name) == 0)
			use = known[i].use;
	for (size_t i = 0; i < s->n_folders && use != 0; i++)
		if (s->folders[i]->special == use)
			use = 0;
	return use;
}

static int
folder_dirfd(struct folder *f)
{
	char dir[MAILDIR_NAME_MAX + 1];

	if (f->loaded)
		return fcntl(f->dirfd, F_DUPFD_CLOEXEC, 3);
	if (maildir_folder_dir(f->name, dir, sizeof(dir)) == -1) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return openat(f->store->mailfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
meta_line(struct folder *f, char *line)
{
	char *value = strchr(line, ' ');
	uint64_t n;

	if (value == NULL)
		return;
	*value++ = '\0';
	n = strtoull(value, NULL, 10);
	if (strcmp(line, "uidvalidity") == 0 && n > 0 && n <= UINT32_MAX)
		f->uidvalidity = (uint32_t)n;
	else if (strcmp(line, "uidnext") == 0 && n > 0 && n <= UINT32_MAX)
		f->uid_reserved = f->uid_reserved > n ? f->uid_reserved : (uint32_t)n;
	else if (strcmp(line, "modseq") == 0 && n > f->modseq_reserved &&
		 n < UINT64_MAX / 2)
		f->modseq_reserved = n;
	else if (strcmp(line, "mailboxid") == 0 && strlen(value) == FOLDER_ID_LEN &&
		 strspn(value, "0123456789abcdef") == FOLDER_ID_LEN)
		memcpy(f->mailbox_id, value, FOLDER_ID_LEN + 1);
	else if (strcmp(line, "special") == 0) {
		for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
			if (strcmp(value, specials[i].word) == 0)
				f->special = specials[i].bit;
	} else if (strcmp(line, "keyword") == 0 && *value != '\0' &&
		   strlen(value) <= STORE_KEYWORD_LEN_MAX &&
		   folder_keyword_find(f, value, strlen(value), 0) == -1)
		(void)folder_keyword_push(f, value);
}

enum store_error
folder_meta_load(struct folder *f)
{
	struct store *s = f->store;
	char *buf = NULL, *line, *next;
	uint32_t now = (uint32_t)time(NULL);
	ssize_t n = -1;
	int dirfd = folder_dirfd(f), fd;

	if (dirfd == -1)
		return errno == ENOENT ? STORE_NOT_FOUND : store_errno(f->name);
	fd = openat(dirfd, META_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	close(dirfd);
	if (fd != -1 && (buf = malloc(META_MAX + 1)) != NULL)
		n = read(fd, buf, META_MAX);
	if (fd != -1)
		close(fd);
	if (n > 0) {
		buf[n] = '\0';
		for (line = buf; (next = strchr(line, '\n')) != NULL; line = next + 1) {
			*next = '\0';
			meta_line(f, line);
		}
	}
	free(buf);
	if (f->uidnext == 0)
		f->uidnext = 1;
	if (f->modseq == 0)
		f->modseq = 1;
	if (f->uidvalidity == 0) {
		/* A name that comes back must not have an old value again. */
		f->uidvalidity =
		    now > s->last_uidvalidity ? now : s->last_uidvalidity + 1;
		f->uid_reserved = f->uidnext + RESERVE_UIDS;
		f->modseq_reserved = f->modseq + RESERVE_MODSEQ;
		f->meta_missing = f->fresh = true;
	}
	if (f->mailbox_id[0] == '\0') {
		uint8_t raw[FOLDER_ID_LEN / 2];

		arc4random_buf(raw, sizeof(raw));
		(void)hex_encode(raw, sizeof(raw), f->mailbox_id, sizeof(f->mailbox_id));
		f->meta_missing = true;
	}
	if (f->uidvalidity > s->last_uidvalidity)
		s->last_uidvalidity = f->uidvalidity;
	return STORE_OK;
}

static int
meta_print(const struct folder *f, char *buf, size_t cap)
{
	size_t len;
	int n = snprintf(buf, cap,
	    "uidvalidity %" PRIu32 "\nuidnext %" PRIu32 "\nmodseq %" PRIu64
	    "\nmailboxid %s\n",
	    f->uidvalidity, f->uid_reserved, f->modseq_reserved, f->mailbox_id);

	if (n < 0 || (size_t)n >= cap)
		return -1;
	len = (size_t)n;
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
		if (f->special == specials[i].bit) {
			n = snprintf(
			    buf + len, cap - len, "special %s\n", specials[i].word);
			if (n < 0 || (size_t)n >= cap - len)
				return -1;
			len += (size_t)n;
		}
	for (int i = 0; i < f->n_keywords; i++) {
		n = snprintf(buf + len, cap - len, "keyword %s\n", f->keywords[i]);
		if (n < 0 || (size_t)n >= cap - len)
			return -1;
		len += (size_t)n;
	}
	return (int)len;
}

enum store_error
folder_meta_save(struct folder *f, int sync)
{
	size_t cap = (size_t)f->n_keywords * (STORE_KEYWORD_LEN_MAX + 16) + 256;
	char *buf = malloc(cap);
	enum store_error error = STORE_OK;
	int len, dirfd, fd;

	if (buf == NULL || (len = meta_print(f, buf, cap)) == -1) {
		free(buf);
		return STORE_LIMIT;
	}
	if ((dirfd = folder_dirfd(f)) == -1) {
		free(buf);
		return errno == ENOENT ? STORE_NOT_FOUND : store_errno(f->name);
	}
	fd = openat(dirfd, META_FILE ".new",
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1 || write(fd, buf, (size_t)len) != len || fdatasync(fd) == -1 ||
	    renameat(dirfd, META_FILE ".new", dirfd, META_FILE) == -1 ||
	    (sync && fsync(dirfd) == -1))
		error = store_errno(META_FILE);
	else
		f->meta_missing = false;
	if (fd != -1)
		close(fd);
	close(dirfd);
	free(buf);
	return error;
}

void
folder_meta_top_up(struct folder *f)
{
	bool changed = f->meta_missing, missing = f->meta_missing;

	if (f->gone)
		return;
	/* After a recovery there is nothing left, and folder_reserve() will see to it. */
	if (f->uid_reserved < UINT32_MAX - RESERVE_UIDS && f->uid_reserved > f->uidnext &&
	    f->uid_reserved - f->uidnext < RESERVE_UIDS / 2) {
		f->uid_reserved = f->uidnext + RESERVE_UIDS;
		changed = true;
	}
	if (f->modseq_reserved > f->modseq &&
	    f->modseq_reserved - f->modseq < RESERVE_MODSEQ / 2) {
		f->modseq_reserved = f->modseq + RESERVE_MODSEQ;
		changed = true;
	}
	/* What was reserved by an older one must not get lost by a torn newer one. */
	if (changed)
		(void)folder_meta_save(f, !missing);
}

enum store_error
folder_reserve(struct folder *f, size_t n)
{
	uint32_t uid_reserved = f->uid_reserved;
	uint64_t modseq_reserved = f->modseq_reserved;
	enum store_error error;

	if (n > UINT32_MAX - RESERVE_UIDS || f->uidnext > UINT32_MAX - RESERVE_UIDS - n)
		return STORE_LIMIT;
	if (f->uidnext + n <= f->uid_reserved && f->modseq + 1 < f->modseq_reserved)
		return f->meta_missing ? folder_meta_save(f, 0) : STORE_OK;
	f->uid_reserved = f->uidnext + (uint32_t)n + RESERVE_UIDS;
	f->modseq_reserved = f->modseq + RESERVE_MODSEQ;
	if ((error = folder_meta_save(f, 1)) != STORE_OK) {
		f->uid_reserved = uid_reserved;
		f->modseq_reserved = modseq_reserved;
		return error;
	}
	f->dirty = true;
	return STORE_OK;
}

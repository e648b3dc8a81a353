/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_MAILDIR_H
#define FIFE_MAILBOX_MAILDIR_H

/*
 * Names in a Maildir++ tree: of messages and of folders. No I/O.
 *
 * A message's file is
 *	1732475268.M012345P678Q9.host,S=4096,U=17-6743abcd:2,FS
 * S size of the file, W size with CRLF line ends when that differs (a file
 * that another program wrote with bare LFs), U the UID and the folder's
 * UIDVALIDITY (hexadecimal), D queue id and recipient of the delivery that
 * made it (hexadecimal). After ":2," the flags D F R S T as elsewhere, and a…z for
 * the folder's keywords 0…25.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILDIR_NAME_MAX 255

struct maildir_name {
	size_t unique_len;  /* up to the first ',' or ':' */
	size_t base_len;    /* up to the flags */
	uint64_t size;      /* S, 0: none */
	uint64_t crlf_size; /* W, 0: none */
	bool has_uid;
	uint32_t uid;
	uint32_t uidvalidity;
	bool has_delivery;
	uint64_t queue_id;
	uint32_t rcpt;
	uint8_t flags;
	uint32_t keywords; /* bits 0…25 */
};

/* Never fails on a name without NUL and '/': what is not understood is left at 0. */
void maildir_name_parse(const char *name, struct maildir_name *);
/* The flags' part: ":2,FS". out has room for MAILDIR_FLAGS_SIZE. Returns its length. */
#define MAILDIR_FLAGS_SIZE 40
size_t maildir_flags_print(uint8_t flags, uint64_t keywords, char *out);
/*
 * The whole name from unique and the tokens and flags of m. -1: over
 * MAILDIR_NAME_MAX. out has room for MAILDIR_NAME_MAX + 1.
 */
int maildir_name_print(
    const char *unique, size_t unique_len, const struct maildir_name *m, char *out);
/* A fresh unique part: time, process, counter, host. */
void maildir_unique(char *out, size_t cap);

/*
 * Folder names. Canonical: "INBOX" in capitals when it is the first part. -1:
 * empty or too long, not UTF-8, a control character, an empty part.
 */
int maildir_folder_canonical(const char *name, char *out, size_t cap);
/* "INBOX" gives ".", "a/b" gives ".a.b". name is canonical. -1: too long for a
 * file name. */
int maildir_folder_dir(const char *name, char *out, size_t cap);
/* Back; -1 when no canonical folder name gives this directory. */
int maildir_folder_name(const char *dir, char *out, size_t cap);

#endif

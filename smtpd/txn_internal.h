/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_TXN_INTERNAL_H
#define FIFE_SMTPD_TXN_INTERNAL_H

/* What txn.c and txn_whole.c share. */

#include "smtpd/session_internal.h"
#include "smtpd/smtp_reply.h"

#define TXN_OPEN_MS 30000
#define TXN_COMMIT_MS 120000

/* txn.c */
/* Everything of BEGIN, with a fresh number, which is returned. */
uint64_t txn_begin_fill(const struct session *, struct msg_txn_begin *);
int txn_send_rcpts(struct session *, struct channel *);
int txn_write_at(int fd, const char *data, size_t len, uint64_t offset);
/* Ask queued for a file instead of memory. */
void txn_spill(struct session *);
void txn_content_failed(struct session *, enum answer_status);
enum answer_status txn_status_of_errno(void);
/* COMMIT, of what queued knows already. */
void txn_commit_now(struct session *);
/* The end: a reply other than 250. */
void txn_finish_reply(struct session *, enum smtp_reply);

/* txn_whole.c */
/* queued refused one: BEGIN comes first until one has succeeded, so that a client hears
 * it before it sends the content. */
extern int txn_whole_trouble;
/* 1: this message may be kept here until its end. */
int txn_whole_open(struct session *);
void txn_whole_write(struct session *, const char *data, size_t len);
void txn_whole_commit(struct session *);
/* COMMITTED, or NULL. */
void txn_whole_committed(struct session *, struct msg *);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_RULES_H
#define FIFE_RULES_H

/*
 * Rules of fife.conf's filter section: PCRE2 patterns on header fields, addresses,
 * the client, HELO, and the decoded text, each with an action. Patterns run with limits
 * on matching steps and memory; no JIT.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

#define RULES_MAX 1000

struct rules;

/* What a judge says of a message. */
struct judgement {
	enum verdict action;
	uint16_t code; /* reply, for reject and defer */
	char enhanced[16];
	char text[512];
	char judge[64];     /* which rule or engine */
	char headers[8192]; /* lines to add, each ended by CRLF */
	size_t headers_len;
};

/* Facts of the transaction; strings borrowed. */
struct rule_facts {
	const char *client;
	const char *client_name;
	const char *helo;
	const char *sender;
	const char *rcpts;   /* separated by newlines */
	const char *message; /* its beginning, at least the header */
	size_t len;
};

struct rules *rules_new(void);
void rules_free(struct rules *);
/* 0; -1 with *why when the pattern does not compile or there are too many. */
int rules_add(struct rules *, const struct msg_conf_filter_rule *, char *why, size_t cap);
size_t rules_count(const struct rules *);

void judgement_init(struct judgement *);
/*
 * Keeps the stricter action of the two; headers of both are collected as long as
 * there is room.
 */
void judgement_merge(struct judgement *, const struct judgement *);
/* Nonzero if a is stricter than b: reject, defer, quarantine, junk, accept. */
int verdict_stricter(enum verdict a, enum verdict b);

/* The judgement of all rules that match. */
void rules_judge(const struct rules *, const struct rule_facts *, struct judgement *);

#endif

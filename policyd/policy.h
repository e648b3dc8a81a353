/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_POLICY_H
#define FIFE_POLICYD_POLICY_H

/* The text of an MTA-STS policy (RFC 8461, 3.2) to values. Pure and bounded. */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

#define POLICY_TEXT_MAX 65536
#define POLICY_AGE_MAX 31557600 /* 3.2: a year */
#define POLICY_MX_MAX 2047

struct policy {
	enum sts_mode mode;
	uint32_t max_age_s;
	char mx[POLICY_MX_MAX + 1]; /* in lower case, blanks between */
};

/* 0; or -1 with *why a short reason. */
int policy_parse(const char *text, size_t len, struct policy *, const char **why);

#endif

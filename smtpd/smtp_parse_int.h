/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_PARSE_INT_H
#define FIFE_SMTP_PARSE_INT_H

/* Between smtp_parse.c (commands) and smtp_parse_ext.c (parameters of extensions). */

#include "smtpd/smtp_parse.h"

struct cursor {
	const char *p;
	size_t len;
};

/* The value of a parameter; p NULL: there was no "=". */
enum smtp_reply smtp_parse_holdfor(struct smtp_command *, struct cursor value);
enum smtp_reply smtp_parse_holduntil(struct smtp_command *, struct cursor value);
enum smtp_reply smtp_parse_by(struct smtp_command *, struct cursor value);
enum smtp_reply smtp_parse_priority(struct smtp_command *, struct cursor value);
enum smtp_reply smtp_parse_requiretls(struct smtp_command *, struct cursor value);
enum smtp_reply smtp_parse_rrvs(struct smtp_command *, struct cursor value);

#endif

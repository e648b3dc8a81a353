/* SPDX-License-Identifier: ISC */
#ifndef FIFE_HTMLTEXT_H
#define FIFE_HTMLTEXT_H

#include <stddef.h>

/* The text that HTML shows, without tags, scripts and styles, entities resolved. out
 * has room for len octets; returns how many were written. UTF-8 in and out. */
size_t html_text(const char *s, size_t len, char *out);

#endif

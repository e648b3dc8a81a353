/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FIFECTL_ESCAPE_H
#define FIFE_FIFECTL_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/*
 * Text from outside on its way to a terminal or into JSON: whatever could steer
 * a terminal (controls, C1 controls, marks of direction) and octets that are not
 * UTF-8 become visible.
 */

enum escape_lines {
	ESCAPE_ONE_LINE,
	ESCAPE_KEEP_LINES
};

/* \x1b for what cannot be shown. Returns how many columns it took, about. */
size_t escape_text(FILE *, const char *, size_t len, enum escape_lines);
/* The same without writing. */
size_t escape_width(const char *, size_t len);
/* A JSON string (RFC 8259, 7) in its quotes. */
void escape_json(FILE *, const char *, size_t len);

#endif

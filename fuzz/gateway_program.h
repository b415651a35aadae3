/*
 * fuzz/gateway_program.h - bytes read as a program of what clients and upstreams do, in any order.
 *
 * One byte an operation: the upper three bits say what, the lower five to whom or how much; text comes from a list of pieces
 * or from the bytes that follow. Any bytes are a program.
 */
#pragma once

#include "gateway_lab.h"

/* Connects client 0 and plays. lab_hang_up is left to the caller. */
void program_play(struct lab *lab, struct str bytes);

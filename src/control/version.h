/*
 * control/version.h - the version the build was given.
 */
#pragma once

#ifndef SEKISHO_VERSION
#error "the build defines SEKISHO_VERSION"
#endif

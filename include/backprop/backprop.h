/* backprop.h: the whole public interface, and where to start. */
#ifndef BACKPROP_H
#define BACKPROP_H

#include "checkpoint.h"
#include "context.h"
#include "data.h"
#include "diagnostics.h"
#include "model.h"
#include "status.h"
#include "train.h"

#endif

// convert_impl.h for NEON.
#include "anemone/kernels/convert/convert_impl.h"

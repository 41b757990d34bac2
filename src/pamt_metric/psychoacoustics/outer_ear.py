"""What the outer and the middle ear pass on to the cochlea, in dB by frequency.

Source: ISO 532-2:2017, tables 1 (free field to eardrum) and 2 (middle ear). Between the tabulated
frequencies the gain is interpolated linearly over log frequency; outside 20 Hz to 20 kHz it keeps
the value of the end of the table.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# frequency Hz: (free field to eardrum dB, middle ear dB)
_TRANSFER_DB = {
    20.0: (0.0, -39.6),
    25.0: (0.0, -32.0),
    31.5: (0.0, -25.85),
    40.0: (0.0, -21.4),
    50.0: (0.0, -18.5),
    63.0: (0.0, -15.9),
    80.0: (0.0, -14.1),
    100.0: (0.0, -12.4),
    125.0: (0.1, -11.0),
    160.0: (0.3, -9.6),
    200.0: (0.5, -8.3),
    250.0: (0.9, -7.4),
    315.0: (1.4, -6.2),
    400.0: (1.6, -4.8),
    500.0: (1.7, -3.8),
    630.0: (2.5, -3.3),
    750.0: (2.7, -2.9),
    800.0: (2.6, -2.6),
    1000.0: (2.6, -2.6),
    1250.0: (3.2, -4.5),
    1500.0: (5.2, -5.4),
    1600.0: (6.6, -6.1),
    2000.0: (12.0, -8.5),
    2500.0: (16.8, -10.4),
    3000.0: (15.3, -7.3),
    3150.0: (15.2, -7.0),
    4000.0: (14.2, -6.6),
    5000.0: (10.7, -7.0),
    6000.0: (7.1, -9.2),
    6300.0: (6.4, -10.2),
    8000.0: (1.8, -12.2),
    9000.0: (-0.9, -10.8),
    10000.0: (-1.6, -10.1),
    11200.0: (1.9, -12.7),
    12500.0: (4.9, -15.0),
    14000.0: (2.0, -18.2),
    15000.0: (-2.0, -23.8),
    16000.0: (2.5, -32.3),
    20000.0: (2.5, -45.5),
}


def transfer_gain_db(frequency: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Gain in dB from the free field to the cochlea at `frequency` in Hz."""
    log_hz = [math.log(hz) for hz in _TRANSFER_DB]
    total_db = [outer + middle for outer, middle in _TRANSFER_DB.values()]
    log_frequency = np.log(np.maximum(frequency.double().cpu().numpy(), 1e-3))
    gain = np.interp(log_frequency, log_hz, total_db)
    return torch.as_tensor(gain, dtype=frequency.dtype, device=frequency.device)

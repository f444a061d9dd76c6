"""Questions asked of an open station: identifications, kept with their answers, and the nearest sightings themselves.

The story of an identification is `matching.identify`; here it is given its encoder, index, catalogue and calibration, and its answer
is written down, so that accuracy in use can be counted later.
"""

"""The grounds of an answer in sentences, made from its numbers alone."""

from __future__ import annotations

from typing import Any

from matching.calibration import BASES


def explained(answer: dict[str, Any], lacks: str | None = None) -> list[str]:
    """From an answer as JSON, so that one that was kept is explained as it was given. `lacks`: what nothing was found for."""
    grounds, candidates = answer["calibration"], answer["candidates"]
    said = [f"Probabilities are {BASES[grounds['source']]}: {grounds['reason']}."]
    if grounds["optimistic"]:
        said.append("They rest on little, and are rather too high.")
    if grounds["expected"]["false_match"] is not None:  # else nobody has measured it
        share = grounds["max_false_match"] * 100
        said.append(f"An animal is called known where at most {share:.3g}% of new animals would look this sure.")
    expected = grounds["new_share"] * 100
    said.append(f"It is called new where P(new) is two thirds or more; {expected:.3g}% of animals are expected to be new.")
    if not candidates:
        return [*said, "There was nothing to compare with.", *([lacks] if lacks else [])]
    for one in candidates[:3]:
        proof = one["evidence"][0]
        said.append(
            f"{one['rank']}. {one['name']}, {one['probability']:.1%}: sighting {proof['sighting_id']} resembles photo "
            f"{proof['query'] + 1} with a cosine of {proof['score']:.3f}; {len(one['evidence'])} of its sightings speak for it."
        )
    names = [photo["name"] for photo in answer["photos"]]
    copies = [f"{p['name']} is the same picture as {names[p['copy_of']]}" for p in answer["photos"] if "copy_of" in p]
    said += [f"{one}, and counts once with it." for one in copies]
    if beyond := answer.get("beyond"):
        said.append(f"Without the filter it is {beyond['decision']}, and most like {beyond['name']}: so it is not called new.")
    said.append(f"P(new) is {answer['new_probability']:.1%}, so the decision is {answer['decision']}.")
    return said

"""The demo's city: San Francisco, by its landmarks."""

import random

from dispatch.simulation.geo import Circle, Place, metres
from dispatch.simulation.plan import DRIVING, Trip

CITY = Circle(Place(37.7793, -122.4193), 4.0)

LANDMARKS = {
    "Ferry Building": Place(37.7955, -122.3937),
    "Union Square": Place(37.7880, -122.4075),
    "Civic Center": Place(37.7793, -122.4193),
    "Oracle Park": Place(37.7786, -122.3893),
    "Mission Dolores": Place(37.7643, -122.4269),
    "Dolores Park": Place(37.7596, -122.4269),
    "Alamo Square": Place(37.7764, -122.4346),
    "Japantown": Place(37.7853, -122.4298),
    "Chinatown": Place(37.7941, -122.4078),
    "North Beach": Place(37.8005, -122.4103),
    "Coit Tower": Place(37.8024, -122.4058),
    "Nob Hill": Place(37.7930, -122.4161),
    "Hayes Valley": Place(37.7759, -122.4245),
    "Castro": Place(37.7609, -122.4350),
    "Potrero Hill": Place(37.7605, -122.4009),
    "Rincon Hill": Place(37.7856, -122.3919),
    "Marina": Place(37.8030, -122.4378),
    "Lower Haight": Place(37.7722, -122.4317),
    "Duboce Park": Place(37.7694, -122.4329),
    "Mission Bay": Place(37.7706, -122.3914),
}

#: One order in so many is for a vehicle that few have.
RARE = 25


def demo_trip(number: int, chance: random.Random) -> Trip:
    """From a landmark to somewhere in the city."""
    name, start = chance.choice(list(LANDMARKS.items()))
    goal = CITY.somewhere(chance)
    near = min(LANDMARKS, key=lambda name: metres(goal, LANDMARKS[name]))
    return Trip(
        moment=0.0,
        reference=f"D-{number:04d}",
        start=start,
        goal=goal,
        seconds=max(metres(start, goal) / DRIVING, 60.0),
        start_address=name,
        goal_address=f"near {near}",
        vehicle="van" if chance.randrange(RARE) == 0 else "",
    )

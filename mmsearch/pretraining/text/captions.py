"""Sentences like those that people write under photographs, put together from lists.

"A man riding a bicycle down a city street." says who, doing what, with which thing, where: the text
tower learns from the sentence encoder which of these words count. `compose` in scenes.py makes the
shorter phrases about single things.
"""

from collections.abc import Sequence

import numpy as np

from mmsearch.pretraining.text.scenes import article


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_PEOPLE = _listed(
    "a man|a woman|a boy|a girl|a person|a child|a young man|a young woman|a little girl|"
    "a little boy|an older man|an old woman|a toddler|a baby|a couple|two men|two women|two people|"
    "two children|three people|a group of people|a crowd of people|several people|a man and a woman"
    "|a mother and her child|a family|a lady|a guy|some kids|a team|a police officer|a chef|"
    "a baseball player|a tennis player|a soccer player|a surfer|a skier|a snowboarder|"
    "a skateboarder|a farmer|a worker|a bride and groom|a soldier|a musician|a street vendor"
)
_WEARING = _listed(
    "in a red shirt|in a blue jacket|in a black suit and tie|in a white dress|in a wet suit|"
    "in a yellow coat|in shorts|in uniform|wearing a hat|wearing a helmet|wearing glasses|"
    "wearing sunglasses|wearing a backpack|wearing a tie|wearing an apron|with long hair|"
    "with a beard|with an umbrella|with a dog|with a backpack|with a suitcase|with a camera"
)
_DOING = _listed(
    "riding a bicycle|riding a motorcycle|riding a horse|riding a skateboard|riding a wave|"
    "riding an elephant|riding a scooter|riding skis|doing a trick on a skateboard|"
    "doing a trick on a snowboard|skiing down a hill|snowboarding down a slope|surfing a big wave|"
    "flying a kite|holding a kite|playing tennis|hitting a tennis ball|swinging a tennis racket|"
    "swinging a baseball bat|throwing a baseball|catching a ball|playing baseball|playing soccer|"
    "kicking a ball|playing frisbee|catching a frisbee|playing a video game|playing the guitar|"
    "playing the piano|holding a tennis racket|holding a baseball bat|holding a surfboard|"
    "holding a cell phone|talking on a cell phone|looking at a laptop|using a laptop computer|"
    "working at a computer|reading a book|reading a newspaper|eating a sandwich|eating pizza|"
    "eating a hot dog|eating a donut|eating a banana|eating cake|drinking wine|drinking coffee|"
    "cutting a cake|cutting vegetables|cooking food|preparing a meal|baking bread|washing dishes|"
    "brushing teeth|brushing hair|taking a picture|taking a selfie in a mirror|holding an umbrella|"
    "carrying a suitcase|carrying a bag|pushing a cart|pulling luggage|walking a dog|petting a cat|"
    "feeding a giraffe|feeding birds|feeding an elephant|milking a cow|herding sheep|"
    "holding a teddy bear|holding a baby|holding a glass of wine|holding a plate of food|"
    "sitting on a bench|sitting on a couch|sitting in a chair|sitting at a table|lying in bed|"
    "standing next to a car|standing next to a bus|standing next to a fire hydrant|"
    "standing by a train|getting off a train|waiting for the bus|boarding an airplane|"
    "driving a truck|driving a tractor|rowing a boat|paddling a canoe|sailing a boat|swimming|"
    "fishing|climbing a rock|jumping in the air|running|walking|crossing the street|smiling|"
    "posing for a picture|looking out of a window|tying a tie|opening a refrigerator|dancing|"
    "shopping for fruit|selling vegetables|buying flowers|planting a tree|fixing a bicycle|"
    "blowing out candles|opening a present|watching television|sleeping|laughing|painting a wall"
)
_PLACES = _listed(
    "on the beach|at the beach|in the ocean|in the water|on a lake|on a river|in a park|"
    "in a field|in a grassy field|in the grass|in the snow|on a snowy mountain|in the mountains|"
    "in the woods|in a forest|in the desert|down a street|down a city street|on a busy street|"
    "on the side of the road|on a dirt road|on a sidewalk|in a parking lot|at an intersection|"
    "in front of a building|in front of a store|in front of a house|in front of a church|"
    "next to a fence|near a tree|under a tree|under a bridge|on a bridge|in a city|in a town|"
    "at a train station|on the tracks|at an airport|on a runway|in a harbor|on a dock|on a boat|"
    "in a kitchen|in a bathroom|in a bedroom|in a living room|in an office|in a classroom|"
    "in a restaurant|in a cafe|at a table|on a table|on a wooden table|on a counter|on a desk|"
    "on a bed|on a couch|on a chair|on a shelf|in a store|in a market|at a zoo|on a farm|"
    "in a stadium|on a tennis court|on a baseball field|on a court|at a skate park|in a museum|"
    "at night|at sunset|on a sunny day|on a cloudy day|in the rain|in the background|"
    "in a black and white photo|by a window|in a garden|in a backyard|in a swimming pool"
)
_ANIMALS = _listed(
    "dog|cat|horse|cow|sheep|elephant|giraffe|zebra|bear|polar bear|bird|duck|goose|seagull|parrot|"
    "owl|pigeon|chicken|rooster|goat|pig|lion|tiger|monkey|deer|fox|rabbit|squirrel|turtle|penguin|"
    "swan|puppy|kitten|bull|camel|donkey|brown bear|black dog|white dog|brown dog|black cat|"
    "orange cat|white horse|flamingo|peacock|kangaroo|panda|fish|butterfly|bee|frog|snake|lizard"
)
_BEHAVING = _listed(
    "standing|sitting|lying down|sleeping|running|walking|eating grass|grazing|drinking water|"
    "playing|swimming|flying|looking at the camera|looking out of a window|laying on a bed|"
    "sitting on a laptop|catching a frisbee|chewing on a toy|perched on a branch|jumping|"
    "pulling a cart|being petted|wearing a hat|carrying a stick|looking in a mirror|on a leash|"
    "behind a fence|next to its mother|with its baby|standing next to each other|fighting"
)
_GROUPS = _listed(
    "two {}s|three {}s|a herd of {}s|a group of {}s|a couple of {}s|several {}s|some {}s"
)
_VEHICLES = _listed(
    "bus|double decker bus|school bus|train|steam train|passenger train|freight train|subway train|"
    "car|old car|sports car|taxi|police car|truck|pickup truck|fire truck|dump truck|garbage truck|"
    "motorcycle|scooter|bicycle|airplane|jet|fighter jet|helicopter|small plane|boat|sailboat|ship|"
    "ferry|canoe|speedboat|tractor|trolley|van|horse drawn carriage|ambulance|hot air balloon"
)
_MOVING = _listed(
    "driving|parked|stopped|traveling|pulling into a station|taking off|landing|flying in the sky|"
    "sitting|docked|moving|turning a corner|carrying passengers|loaded with luggage|waiting|"
    "covered in snow|with people on it|with its doors open|floating"
)
_FOODS = _listed(
    "pizza|sandwich|hot dog|hamburger|salad|soup|cake|chocolate cake|birthday cake|donuts|bananas|"
    "apples|oranges|strawberries|broccoli|carrots|rice|noodles|pasta|spaghetti|meat|steak|chicken|"
    "fish|sushi|eggs|bacon|toast|bread|cheese|french fries|potatoes|tomatoes|lettuce|mushrooms|"
    "vegetables|fruit|pancakes|waffles|ice cream|cookies|a cup of coffee|a glass of wine|beer|"
    "orange juice|beans|corn|grapes|lemons|pie|burrito|tacos|bagel|croissant|peppers|cucumber"
)
_THINGS = _listed(
    "clock|vase|vase of flowers|laptop|laptop computer|keyboard|mouse|cell phone|remote control|"
    "television|book|stack of books|teddy bear|umbrella|suitcase|backpack|bag|handbag|chair|couch|"
    "bench|bed|table|desk|lamp|mirror|window|door|refrigerator|stove|oven|microwave|toaster|sink|"
    "toilet|bathtub|shower|cabinet|shelf|plate|bowl|cup|mug|glass|bottle|wine bottle|knife|fork|"
    "spoon|scissors|hair dryer|toothbrush|traffic light|stop sign|street sign|parking meter|"
    "fire hydrant|kite|surfboard|skateboard|skis|snowboard|tennis racket|baseball bat|"
    "baseball glove|frisbee|soccer ball|basketball|guitar|piano|camera|candle|basket|box|blanket|"
    "pillow|towel|rug|curtain|fence|tree|flowers|potted plant|statue|fountain|clock tower|church|"
    "bridge|lighthouse|tent|balloon|flag|hat|shoes|tie|necklace|mailbox|phone booth|trash can"
)
_ROOMS = _listed("kitchen|bathroom|bedroom|living room|dining room|office|hotel room|restaurant")
_COLOURS = _listed(
    "red|green|blue|yellow|white|black|brown|orange|pink|purple|grey|silver|colorful|wooden|large|"
    "small|old|big|tall|empty|open"
)
_TEMPLATES = (
    "{who} {doing}", "{who} {doing} {place}", "{who} {doing} {place}", "{who} {wearing} {doing}",
    "{who} {wearing} {doing} {place}", "{who} is {doing} {place}", "{who} and a {animal} {place}",
    "{who} {doing} while {other} watches", "{who} {place}", "{who} {wearing} {place}",
    "{who} with {thing} {place}", "{who} standing next to {thing}", "{who} looking at {thing}",
    "{who} holding {thing}", "{who} holding {noun}", "{who} with {noun} {place}",
    "a {animal} {behaving}", "a {animal} {behaving} {place}", "{animals} {behaving} {place}",
    "a {colour} {animal} {behaving} {place}", "{animals} {place}",
    "a {animal} and a {animal2} {place}",
    "a {animal} {behaving} next to {thing}", "a {animal} sitting on top of {thing}",
    "a {colour} {vehicle} {moving} {place}", "a {vehicle} {moving} {place}",
    "a {vehicle} {moving} next to {thing}", "a {vehicle} and a {vehicle2} {place}",
    "a row of {vehicle}s parked {place}", "a plate of {food} and {food2}",
    "a plate with {food}, {food2} and {food3} on it", "a bowl of {food} {place}",
    "a table topped with {food} and {food2}", "{food} and {food2} {place}",
    "a close up of {food} on a plate", "a tray of food with {food} and {food2}",
    "a {room} with {thing} and {thing2}", "a {room} with {thing}, {thing2} and {thing3}",
    "a {colour} {room} with {thing}", "{thing} sitting on top of {thing2}",
    "{thing} next to {thing2}", "{thing} {place}", "{thing} and {thing2} {place}",
    "{noun} {place}", "{noun} next to {noun2}", "{noun} and {noun2} {place}",
    "{noun} sitting on {thing}", "there is {noun} {place}", "{noun} in front of {thing}",
    "a view of {thing} {place}", "a bunch of {food} {place}", "a display of {food} in a store",
    "a street with {thing} and a {vehicle}", "a sign that is {place}",
)  # fmt: skip


def photo_captions(nouns: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` sentences about scenes; `nouns` name further things to put into them."""

    def pick(words: Sequence[str]) -> str:
        return words[int(rng.integers(len(words)))]

    captions = []
    for _ in range(count):
        things = [article(pick(_THINGS)) for _ in range(3)]
        text = pick(_TEMPLATES).format(
            who=pick(_PEOPLE), other=pick(_PEOPLE), doing=pick(_DOING), wearing=pick(_WEARING),
            place=pick(_PLACES), animal=pick(_ANIMALS), animal2=pick(_ANIMALS),
            animals=pick(_GROUPS).format(pick(_ANIMALS)), behaving=pick(_BEHAVING),
            vehicle=pick(_VEHICLES), vehicle2=pick(_VEHICLES), moving=pick(_MOVING),
            food=pick(_FOODS), food2=pick(_FOODS), food3=pick(_FOODS), room=pick(_ROOMS),
            thing=things[0], thing2=things[1], thing3=things[2], colour=pick(_COLOURS),
            noun=article(pick(nouns)), noun2=article(pick(nouns)),
        )  # fmt: skip
        captions.append(text[:1].upper() + text[1:] + "." if rng.random() < 0.6 else text)
    return captions

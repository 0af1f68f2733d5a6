"""What is not a told story: first persons, letters, questions, lists, instructions, descriptions."""

import random
from collections.abc import Callable

from .expand import expand
from .people import Person, animal, another, anyone, child, grown, royal
from .tales import Telling, tale
from .words import WORDS

SOUNDS = {
    "cat": "meow", "dog": "woof", "cow": "moo", "sheep": "baa", "duck": "quack", "pig": "oink", "mouse": "squeak",
    "owl": "hoo", "frog": "croak", "bee": "buzz", "horse": "neigh", "lion": "roar", "wolf": "howl", "crow": "caw",
}  # fmt: skip
COLOURS = {
    "grass": "green", "snow": "white", "sky": "blue", "sun": "yellow", "apple": "red", "coal": "black",
    "night": "black", "milk": "white", "rose": "red", "sea": "blue", "leaf": "green", "raven": "black",
}  # fmt: skip
OPPOSITES = {
    "hot": "cold", "big": "small", "old": "young", "happy": "sad", "day": "night", "up": "down", "open": "closed",
    "fast": "slow", "good": "bad", "rich": "poor", "strong": "weak", "summer": "winter", "full": "empty",
    "loud": "quiet", "dark": "bright", "first": "last", "yes": "no", "wet": "dry", "far": "near", "high": "low",
}  # fmt: skip
PLACES = {
    "bee": "in a hive", "bird": "in a nest", "fish": "in the water", "horse": "in a stable", "king": "in a castle",
    "farmer": "on a farm", "fox": "in a den", "mouse": "in a hole", "spider": "in a web", "frog": "in the pond",
    "hen": "in the barn", "sailor": "on a ship", "star": "in the sky", "owl": "in a tree", "rabbit": "under the ground",
}  # fmt: skip
MAKERS = {
    "bread": "the baker", "shoes": "the shoemaker", "clothes": "the tailor", "flour": "the miller", "pots": "the potter",
    "honey": "the bee", "milk": "the cow", "eggs": "the hen", "wool": "the sheep", "soup": "the cook",
    "pictures": "the painter", "songs": "the singer", "cloth": "the weaver", "tables": "the carpenter",
}  # fmt: skip


def first_person(rng: random.Random) -> str:
    """Someone tells of himself or herself."""
    hero = rng.choice((child, grown))(rng)
    t = Telling(rng, h=hero, f=another(rng, hero), name=rng.choice(WORDS[rng.choice(("girl", "boy"))]))
    t.say(
        "[hello, my|hello! My|hi, my|my] name is {name}[ and I live <home>|. I live <home>|, and I am <number> years old|. I am a <trade>|].",
        "I am {name}, and I live <home>.",
        "I am a [little <animal>|<trade>|poor <trade>|<person_adj> <trade>]. I live [<home>|<burrow>].",
        "I live <home> with my [mother|father|grandmother|brother and my sister|dog|cat].",
        "when I was [a child|young|a little boy|a little girl], I lived <home>.",
        "[yesterday|last summer|last winter|this morning|today] I went to <goal>[ with my friend {name}| with my grandmother|].",
        "I want to tell you [a story|about my friend {name}|what happened to me].",
        "I have a [little |big |brown |white |]<animal>. [its|his|her] name is <pet_name>.",
    )
    for _ in range(rng.choice((2, 3, 4))):
        t.say(
            "every [day|morning|evening] I [go to <goal>|eat <food>|look at the stars|feed the <animals>|help my mother|help my father].",
            "I [like|love] <food>[ and <food>|], but I do not like <food>.",
            "my best friend is [{name}|a <animal>|a <animal> named <pet_name>]. we [play|sing|talk|work] together every day.",
            "I [would like|want] to <wish>[ one day|].",
            "my [mother|grandmother|father|grandfather] [bakes bread|tells stories|sings in the evening|works in the garden|is a <trade>].",
            "[yesterday|one day|last week] I found a <thing> <spot>.",
            "[yesterday|one day|one night] I met {f.intro}. we [ate <food>|talked for a long time|laughed a lot|became friends].",
            "I have a <thing>. [I love it very much|I got it from my grandmother|I keep it <spot>].",
            "in [spring|summer|autumn|winter] we <play>.",
            "when it rains, I [stay at home|read a book|listen to the rain|am a little sad].",
            "I was <bad_feeling>, but then {f.intro} helped me.",
            '"[good morning|hello|come in|where are you going]," said {f}[ to me|].',
            "there is a <tree> in front of our house.",
        )
        t.pause(0.1)
    t.maybe(0.6, "that was a [good|beautiful|long] day.", "I am [happy|glad] here.", "I will never forget it.", "that is my story.", "and you? what is your name?")
    return t.text()


def letter(rng: random.Random) -> str:
    """A letter between friends."""
    a, b = rng.choice(WORDS["girl"] + WORDS["boy"]), rng.choice(WORDS["girl"] + WORDS["boy"])
    t = Telling(rng, f=animal(rng))
    t.say("[thank you for your letter|how are you|I hope you are well|I miss you|today I want to write to you].")
    for _ in range(rng.choice((2, 3, 4))):
        t.say(
            "here it is [spring|summer|autumn|winter], and <weather>." if False else "[it is <season> here|it has rained for <number> days|yesterday it snowed|the apples are ripe].",
            "yesterday we went to <goal>.",
            "I have found a <thing> <spot>.",
            "my [mother|father|grandmother] is well and [bakes <food>|works in the garden|sends you a <gift>].",
            "we have {f.intro} now. {f.he} sleeps <spot>.",
            "I am learning to <skill>.",
            "do you still want to <wish>?",
            "please [come and visit us|write soon|bring your <thing>].",
            "there will be a feast with <food> and <food>.",
        )
    t.say("[I hope to see you soon|come soon|write to me|many greetings to all|I think of you often].")
    names: dict[str, object] = {"a": a, "b": b}
    greeting = expand("[dear|my dear] {a},", rng, names)
    return f"{greeting}\n\n{t.text()}\n\n" + expand("[your friend|love|yours|your old friend],\n{b}", rng, names)


def diary(rng: random.Random) -> str:
    """A few days in short lines."""
    t = Telling(rng, h=child(rng))
    days = WORDS["day"]
    first = rng.randrange(len(days))
    lines = []
    for offset in range(rng.choice((2, 3))):
        name = days[(first + offset) % len(days)]
        lines.append(
            name + ". " + expand(
                "today [I went to <goal>|it rained all day|we <play>|I <job>|I saw a <animal> <spot>|I met a <person_adj> <trade>]. "
                "[I ate <food>|I was <feeling>|I found a <thing>|<weather>|we laughed a lot]. [tomorrow I will go to <goal>.|I want to <wish>.|it was a good day.|]",
                rng, {},
            )
        )  # fmt: skip
    t.paragraphs = [[line] for line in lines]
    return t.text()


def _fact(rng: random.Random) -> tuple[str, str]:
    """A simple question and its answer."""
    kind = rng.randrange(9)
    if kind == 0:
        animal_name, sound = rng.choice(list(SOUNDS.items()))
        return f"What does the {animal_name} say?", f"The {animal_name} says {sound}."
    if kind == 1:
        thing, colour = rng.choice(list(COLOURS.items()))
        return f"What colour is the {thing}?", f"The {thing} is {colour}."
    if kind == 2:
        word, other = rng.choice([*OPPOSITES.items(), *((b, a) for a, b in OPPOSITES.items())])
        return f"What is the opposite of {word}?", f"The opposite of {word} is {other}."
    if kind == 3:
        who, where = rng.choice(list(PLACES.items()))
        return expand(f"where does [the|a] {who} live?", rng, {}), expand(f"[the|a] {who} lives {where}.", rng, {})
    if kind == 4:
        what, who = rng.choice(list(MAKERS.items()))
        return f"Who makes {what}?", expand(f"{who} makes {what}.", rng, {})
    if kind == 5:
        name = rng.choice(WORDS["girl"] + WORDS["boy"])
        slots: dict[str, object] = {"name": name, "place": rng.choice(WORDS["goal"]), "spot": rng.choice(WORDS["spot"])}
        question = expand("[where is|where did you see] {name}?", rng, slots)
        return question, expand("{name} is [{spot}|at {place}].", rng, slots).replace("at the sea", "by the sea")
    if kind == 6:
        return expand("what do you [like to eat|want for breakfast|have in your basket]?", rng, {}), expand(
            "I [like|want|have] <food> and <food>.", rng, {}
        )
    if kind == 7:
        return expand("who [are you|is there|lives in this house]?", rng, {}), expand(
            "I am [a <trade>|a <person_adj> <trade>|your friend|only a <animal>], and I [live <home>|want to <wish>|am very <feeling>].", rng, {}
        )  # fmt: skip
    return expand("why are you so [sad|happy|late|tired|quiet]?", rng, {}), expand(
        "because [I have lost my <thing>|<weather>|I met an old friend|I want to <wish>|nobody came to my feast|I ate too much].", rng, {}
    )  # fmt: skip


def questions(rng: random.Random) -> str:
    """Questions and answers, as a list."""
    q, a, gap = rng.choice((("Q: ", "A: ", "\n"), ("Q: ", "A: ", "\n\n"), ("Question: ", "Answer: ", "\n\n"), ("", "", "\n")))
    pairs = [_fact(rng) for _ in range(rng.choice((1, 2, 3, 4, 5)))]
    short = rng.random() < 0.3
    lines = []
    for question, answer in pairs:
        if short:
            answer = answer.split(" is ")[-1].split(" says ")[-1]
            answer = answer[0].upper() + answer[1:]
        lines.append(f"{q}{question}\n{a}{answer}")
    return gap.join(lines)


def pairs(rng: random.Random) -> str:
    """A few-shot list: words and what belongs to them."""
    table, arrow = rng.choice((OPPOSITES, SOUNDS, COLOURS)), rng.choice((" -> ", ": ", " = ", " => "))
    rows = rng.sample(list(table.items()), rng.choice((3, 4, 5, 6)))
    return "\n".join(f"{a}{arrow}{b}" for a, b in rows)


def request(rng: random.Random) -> str:
    """A wish for a text, and the text."""
    hero = anyone(rng)
    t = Telling(rng, h=hero, f=another(rng, hero))
    kind = rng.randrange(3)
    if kind == 0:
        story = tale(rng)
        return expand("[tell me a story|write a short story|please tell me a story|a story for you|here is a story|listen to this story].", rng, {}) + "\n\n" + story
    if kind == 1:
        what = expand("[good morning|good night|thank you|hello|this is a test|I am happy|come in|yes|no|I love you|the sun is shining|please]", rng, {})
        t.say(
            f'say "{what}", said {{f}}.' if False else f'"say: {what}," said {{f}}. "{what}," said {{h}}.',
            f"say {what}. {what}.",
            f"say this is a test. this is a test, said {{h}}." if False else f'{{f}} said, "{what}." and {{h}} answered, "{what}."',
        )  # fmt: skip
        t.say("then they both laughed.", "and that was all.", "{h} was <feeling>.", "then they went to <goal>.")
        return t.text()
    t.say("this is a [test|story|song|letter|picture] [of|about] {h.intro}.", "this is a test. [it is only a test|do not be afraid|it will not take long].")
    t.say("{h.he} <job>.", "{h} lived {h.home}.", "{h.he} wanted to <wish>.")
    t.say("<when>, {h.he} met {f.intro}.", "{h.he} was <feeling>.")
    return t.text()


def description(rng: random.Random) -> str:
    """A place, a season, the weather."""
    t = Telling(rng, h=anyone(rng))
    kind = rng.randrange(4)
    if kind == 0:
        t.say("the weather [today|this morning|in the village|here] [is|was] [fine|cold|warm|bad|beautiful|wet|good].", "today <weather>.", "[the sun shines|it is raining|it is snowing|the wind is cold] today.")
        t.say("[everyone is outside|nobody is on the street|the children play in the garden|the <animals> are <spot>].", "people [sit|stand|walk] <spot> and talk.")
        t.say("[tomorrow|in the evening|soon] [it will rain|it will snow|the sun will shine|it will be warm|the wind will come].", "{h} looks out of the window and [smiles|waits|sings].")
        t.maybe(0.5, "[the sky|the sea|the field|the river] is [blue|grey|dark|quiet|wide].")
    elif kind == 1:
        t.say("in a small house [by the river|on the hill|in the woods] there [was|stood] a [table|bed|chair|stove] and <number> [chairs|beds|cups|candles].", "{h.home} [stood|there was] a [house|mill|tower|barn] with a <colour> [roof|door|gate].", "behind the house [was|there was] a garden full of [flowers|apple trees|<animals>].")
        t.say("<spot> [slept|sat|lay] a <animal>.", "on the table [stood|was] a [bowl of|plate of] <food>.", "the [door|window] was always open.")
        t.say("there lived {h.intro}.", "it belonged to {h.intro}.", "every evening {h.intro} sat there and [sang|looked at the sky|told stories].")
        t.say("{h.he} <job>[ and <job>|].", "{h.he} was [always|often|never] <feeling>.")
    elif kind == 2:
        t.say("the [old man|old woman|king|queen|little girl|little boy|farmer|child] [smiled|looked up|said nothing|laughed|sat down|opened the door].", "the <animal_adj> <animal> [looked up|ran away|sat down <spot>|jumped|slept|was hungry].")
        t.say('"[come in|who is there|it is late|I am hungry|let us go|look at the stars|listen]," said {h}.', "it was [quiet|cold|late|dark|warm].", "{h.intro} came [in|to the door|closer].")
        t.say("<weather>.", "they ate <food> and [talked|laughed|said nothing].", "nobody knew what to say.")
        t.maybe(0.6, "then {h} <job>.", "<later>, {h} went home.")
    else:
        t.say("in [spring|summer] [the days are long|the flowers are out|the birds sing|the meadow is green|the bees fly from flower to flower].", "in [winter] [the days are short|everything is white|the river is frozen|people sit by the fire|the bear sleeps].", "in autumn [the leaves fall|the apples are ripe|the wind blows|the <animals> look for nuts].")
        t.say("the children <play>.".replace("<play>", "[play by the river|run in the meadow|sing songs|climb trees|throw snow at each other]"), "the <animals> [sleep|eat|play|hide] <spot>.")
        t.say("{h} [likes|loves] this time[ most of all|]. ", "then everyone eats <food>.", "in the evening they tell stories.")
    return t.text()


def rhyme(rng: random.Random) -> str:
    """Four lines that rhyme."""
    ends = rng.choice(
        (
            ("tree", "sea", "free", "me"), ("night", "light", "bright", "white"), ("day", "play", "away", "hay"),
            ("house", "mouse"), ("sun", "fun", "run"), ("moon", "soon", "spoon"), ("hill", "mill", "still"),
            ("bed", "red", "bread"), ("rain", "again", "lane"), ("snow", "go", "slow"), ("fox", "box"), ("cat", "hat", "mat"),
        )
    )  # fmt: skip
    lines = {
        "tree": "a <animal> sat in the old tree", "sea": "the wind came from the sea", "free": "the birds are free", "me": "come and sing with me",
        "night": "it was a dark and quiet night", "light": "in the window was a light", "bright": "the moon and stars were bright", "white": "and all the world was white",
        "day": "it was a warm and sunny day", "play": "the children came to play", "away": "the <animal> ran away", "hay": "and slept all night in the hay",
        "house": "there was a very little house", "mouse": "and in it lived a mouse", "sun": "a cat lay in the sun", "fun": "and had a lot of fun", "run": "she did not want to run",
        "moon": "a cow looked at the moon", "soon": "and said, I will be there soon", "spoon": "she had a silver spoon", "hill": "there is a house on the hill", "mill": "beside it stands a mill", "still": "the night is very still",
        "bed": "a king lay in his bed", "red": "his nose was very red", "bread": "he wanted only bread", "rain": "I hear the rain", "again": "it comes again and again", "lane": "and runs along the lane",
        "snow": "I see the snow", "go": "and do not want to go", "slow": "it falls so soft and slow", "fox": "there was a little fox", "box": "who lived inside a box", "cat": "there was a little cat", "hat": "who had a big blue hat", "mat": "and slept upon a mat",
    }  # fmt: skip
    chosen = rng.sample(ends, min(len(ends), 4))
    return "\n".join(expand(lines[end] + ("," if i < len(chosen) - 1 else "."), rng, {}) for i, end in enumerate(chosen))


def dialogue(rng: random.Random) -> str:
    """Two talk, and little else happens."""
    a = rng.choice((anyone, royal, grown, animal))(rng)
    b: Person = another(rng, a)
    t = Telling(rng, a=a, b=b)
    t.maybe(0.6, "{a.intro} [met|saw|visited] {b.intro}.", "{a.intro} and {b.intro} sat <spot>.", "{a} [looked at|waited for|went to] {b}.")
    for _ in range(rng.choice((2, 3))):
        t.say(
            '"[good morning|good day|good evening|hello], {b}," said {a}. "[good morning|good day|hello], {a}," said {b}.',
            '{a} said, "[I am <bad_feeling>|I have lost my <thing>|I want to <wish>|it will rain soon|there is a <animal> <spot>]."',
            '{a} said to {b}, "[give me some <food>|come with me to <goal>|tell me a story|what have you got there|do you see the <animal>]."' if False else '{a} said to {b}, "[give me some <food>|come with me to <goal>|tell me a story|you are my best friend]."',
            '"[where are you going|what are you doing|what did you eat today|where do you live]?" asked {a}. "[to <goal>|I am going home|nothing special|I ate <food>|I live <home>]," answered {b}.' if False else '"where are you going?" asked {a}. "[to <goal>|I am going home|to my grandmother|I am looking for my <thing>]," answered {b}.',
            '"what [are you doing|have you got there]?" asked {a}. "[a <thing>|only some <food>|nothing|I will show you]," answered {b}.',
            '"do you know what I saw?" asked {a}. "^i saw a <animal> with a <thing>." ^{b} [laughed|did not believe it|was very surprised].',
            '"can you [<skill>]?" asked {b}. "[yes, I can|no, but I want to learn it|only a little|I learned it from my grandmother]," said {a}.',
            "{b} [nodded|thought for a while|laughed|smiled|said nothing].",
        )
        t.pause(0.2)
    t.say("so they talked until [it was dark|the sun went down|the moon came up].", "then they ate <food>.", '"goodbye," said {a}, and went home.', "and they [laughed|were <good_feeling>].")
    return t.text()


TALKS: dict[Callable[[random.Random], str], int] = {
    first_person: 6, letter: 3, diary: 1, questions: 4, pairs: 1, request: 4, description: 6, rhyme: 1, dialogue: 6,
}  # fmt: skip


def talk(rng: random.Random) -> str:
    """One text that is no told story."""
    return rng.choices(list(TALKS), list(TALKS.values()))[0](rng)

"""The stories: each function below is one narrative structure, told in beats of many wordings."""

import random
from collections.abc import Callable

from .expand import expand
from .people import Person, animal, another, anyone, child, grown, royal
from .words import WORDS

OPENING = (
    "[once upon a time|once upon a time,|once,|long ago,|many years ago,|a long time ago,|once upon a time] "
    "there [was|lived|was] {h.intro}. [{h.he}|{h}|{h.the}] lived {h.home}.",
    "[once upon a time|once upon a time,|long ago,|a long time ago,] {h.intro} lived {h.home}.",
    "[there was|there was once|there once was|once there was] {h.intro} who lived {h.home}.",
    "once upon a time[,|] [there was|there lived] {h.intro} who wanted to <wish>.",
    "[once upon a time|once|long ago] there was {h.intro}. [all day long|every day|in the morning|often] {h.he} <job>.",
    "{h.home} there lived {h.intro}. [everyone|everybody] [liked|knew|loved] {h.him}.",
    "{h.home}[,|] there [was|lived] {h.intro}. {h.he} was [often|always|never|sometimes] <feeling>.",
    "<when>[,|] {h.intro} [went|walked|was on the way|ran] to <goal>.",
    "<when>, when <weather>, {h.intro} [sat|was sitting|stood] <spot>.",
    "{h.intro} lived {h.home}. [every morning|every day|on Sundays] {h.he} went to <goal>.",
    "it was [a cold winter|a warm summer|a fine spring|a wet autumn] [day|morning|evening]. {h.intro} [sat <spot>|walked to <goal>|was all alone].",
    "this is [the|a] story [of|about] {h.intro}. {h.he} lived {h.home}.",
    "{h} was {h.intro}. {h.he} lived {h.home}." if False else "{h.intro} lived all alone {h.home}.",
)
SETTING = (
    "<weather>[, and {h.he} was <feeling>| and the wind came from the sea|].",
    "{h.he} [liked|loved] to eat <food> and <food>.",
    "every [day|morning|evening] {h.he} <job>[ and <job>|].",
    "[in summer|in spring|in winter|in autumn|on fine days] {h.he} <play>.",
    "{h.he} had a <thing>, and {h.he} [loved it very much|kept it <spot>|never went out without it].",
    "{h.he} had no [brothers or sisters|friends|money|father and no mother], but {h.he} was [cheerful|not sad|kind to everyone].",
    "[people|the neighbours|the children] [liked|loved] {h.him} because {h.he} was so [kind|funny|honest|clever|good].",
    "{h.his} best friend was [a|an old|a little] <animal>.",
    "the house was [small|old|cold], but it was [clean|warm|full of flowers].",
    "{h.he} was not [big|rich|strong], but {h.he} was [clever|brave|kind|quick].",
    "on the table there [was always|was] [a bowl of|some] <food>.",
)
THANKS = (
    '"[thank you|thank you so much|oh, thank you|many thanks]!" [said|cried|called|whispered] {a}. "[you are very kind|I will never forget it|you are a true friend|now I am happy again|I will always be your friend]."',
    "{a} [thanked|smiled at|hugged] {b}[ and gave {b.him} a <gift>| and danced with joy|].",
    '{a} was <good_feeling>. "[you have helped me|you saved me|that was very good of you]," {a.he} said.',
)
ENDING = (
    "[from that day on|after that|from then on|since that day], {h} [was never <bad_feeling> again|was always <good_feeling>|<play> every day|told the story to everyone|was kind to every <animal>].",
    "and [they|they all] lived happily ever after.",
    "that [night|evening] {h} [slept well|lay in bed and smiled|dreamed of <food> and <food>|looked at the stars and was happy|slept deeply until the morning].",
    "and {h} [never|never again] forgot [that day|what had happened|{f}].",
    "[then|so] they went home together and ate <food>[ and <food>|].",
    "{h} and {f} [stayed|were|remained] [friends|good friends|best friends] [for the rest of their lives|for ever|all their lives].",
    "<moral>",
    "[{h} learned something that day|this is what {h} learned|as {h}'s grandmother always said]. <moral>",
    "and if [they have not died|nobody has woken them|they have not moved away], they [live there still|are still sitting there|are there to this day].",
    "[when {h} was old|many years later], {h.he} [still told|often told] the children about it.",
    "it was the [best|happiest|longest|strangest] day of {h.his} life.",
    "{h} was tired, but {h.he} was very happy.",
    "everyone [danced|sang and danced|laughed|clapped their hands], and there was <food> for all.",
)
TIME = "[<later>,|<later>,|then|after that,|<later>,]"
MOOD = (
    "{h} was <bad_feeling>.",
    "{h} was very <feeling>.",
    "{h} [sat down|sat down <spot>] and began to [cry|think|sing quietly].",
    "{h} did not know what to do.",
    "{h}'s heart [was heavy|beat fast|was full of fear].",
    '"[oh no|oh dear|what shall I do|what now|poor me]!" [said|cried|thought] {h}.',
    "{h.he} [wanted to cry|could not sleep|did not eat|thought and thought].",
)
ASK = (
    '"[why are you so sad|why are you crying|what is wrong|what has happened|what is the matter|can I help you]?" asked {f}.',
    '"[good morning|good day|hello|good evening], {h}," said {f}. "[why do you look so sad|where are you going|what are you doing here|are you lost|what are you looking for]?"',
    '{f} [looked at {h.him}|stopped|came closer|smiled] and asked, "[what is the matter|can I help you|why are you so quiet|who are you|what is your name]?"',
)
MEET = (
    TIME + " {h.he} met {f.intro}.",
    "<later>, {f.intro} came [along the road|out of the wood|to the door|down the hill|by|along].",
    "there {h.he} [saw|met|found] {f.intro}.",
    "just then {f.intro} [came by|walked by|knocked at the door|looked through the window].",
    "<spot> [sat|stood] {f.intro}.",
)
REPLY_YES = (
    '"[yes|of course|with pleasure|gladly|I will help you]," said {f}. "[come with me|follow me|let us go at once|let us try together|two can do it better than one|do not be afraid]."',
    '{f} [thought for a while|nodded|laughed|smiled] and said, "[come with me|I know what to do|that is easy|we will do it together|do not cry, I will help you]."',
)


class Telling:
    """One story while it is told: the slots, and the sentences so far."""

    def __init__(self, rng: random.Random, **slots: object) -> None:
        self.rng = rng
        self.slots = slots
        self.paragraphs: list[list[str]] = [[]]

    def say(self, *wordings: str, **slots: object) -> None:
        """Add one of the wordings."""
        self.paragraphs[-1].append(expand(self.rng.choice(wordings), self.rng, {**self.slots, **slots}))

    def maybe(self, chance: float, *wordings: str, **slots: object) -> None:
        if self.rng.random() < chance:
            self.say(*wordings, **slots)

    def pause(self, chance: float = 0.35) -> None:
        """Begin a new paragraph, sometimes."""
        if self.rng.random() < chance and self.paragraphs[-1]:
            self.paragraphs.append([])

    def text(self) -> str:
        return "\n\n".join(" ".join(sentences) for sentences in self.paragraphs if sentences)

    def open(self) -> None:
        self.say(*OPENING)
        self.maybe(0.5, *SETTING)
        self.maybe(0.25, *SETTING)
        self.pause(0.25)

    def close(self) -> None:
        self.say(*ENDING)
        self.maybe(0.35, *ENDING)
        self.maybe(0.1, "the end.", "and that is the end of the story.")


def _pair(rng: random.Random) -> dict[str, Person]:
    hero = anyone(rng)
    return {"h": hero, "f": another(rng, hero)}


def wish(rng: random.Random) -> str:
    """A wish, what stands against it, someone who helps."""
    wanted = rng.choice(WORDS["wish"])
    t = Telling(rng, wish=wanted, **_pair(rng))
    t.open()
    t.say(
        "{h} had one [wish|great wish|dream]. {h.he} wanted to {wish}.",
        "more than anything[ else|] {h} wanted to {wish}.",
        '"[I wish I could|if only I could|one day I will|how I would like to] {wish}," {h.he} [said|often said|thought].',
        "all {h.his} life {h} had wanted to {wish}.",
    )
    t.say(
        "but {h.he} was too [small|young|poor|shy|weak|old|busy].",
        "but nobody [would help|believed|listened to] {h.him}."
        if rng.random() < 0.5
        else "but nobody would help {h.him}.",
        'but [people|the others|everyone] [only laughed|laughed|said, "You cannot do that"].'
        if rng.random() < 0.3
        else "but the others only laughed.",
        "but {h.he} did not know [how|where to begin|whom to ask].",
        "but {h.he} had no [money|time|shoes|one to help {h.him}].",
    )
    t.maybe(0.5, *MOOD)
    t.pause()
    t.say(*MEET)
    t.say(*ASK)
    t.say(
        '"I [want|would like|wish] to {wish}," [said|answered] {h}[. "But I do not know how|. "Can you help me|. "But I am too small].',
    ) if False else t.say(
        '"I [want|would like] to {wish}," [said|answered] {h}. "But [I do not know how|I am too small|nobody helps me|I am all alone|I am afraid]."',
        '"I [want|would like] to {wish}," [said|answered] {h}. "Can you help me?"',
        "{h} told {f.him} about {h.his} [wish|dream].",
    )
    t.say(*REPLY_YES)
    t.pause(0.2)
    t.say(
        TIME
        + " they [walked|went|walked together|wandered] [over the hill|through the forest|along the river|to <goal>|down the road] [for a long time|until it was dark|for <number> days|until they were tired].",
        "for <number> days they worked together[, from morning until night|].",
        "{f} showed {h.him} how to do it, and {h} [tried|listened well|watched|tried again and again].",
        "it was not easy. {h} [fell down|tried and failed|made many mistakes|almost gave up], but {h.he} [tried again|did not give up|got up again].",
    )
    t.maybe(
        0.5,
        "on the way they [ate <food>|sang songs|met a <animal>|saw many <animals>|slept under a <tree>].",
        "at first it was hard, but [every day|day by day] it [became easier|went better].",
        "{f} had a <thing>, and it helped them.",
    )
    t.say(
        "and [then|at last|one day], {h} could [really|] {wish}.",
        "at last {h.his} wish came true. {h} [laughed|cried|danced|jumped] for joy.",
        '"[look|look, look|see]!" cried {h}. "[I can do it|my wish has come true|it is true|now I have what I wanted]!"',
    )
    t.maybe(0.6, *THANKS, a=t.slots["h"], b=t.slots["f"])
    t.close()
    return t.text()


def lost(rng: random.Random) -> str:
    """Something is lost, looked for in three places, and found."""
    t = Telling(rng, thing=rng.choice(WORDS["thing"]), **_pair(rng))
    t.open()
    t.say(
        "{h} had a {thing}. [it was a present from {h.his} [mother|grandmother|father|grandfather|uncle]|{h.he} loved it more than anything|{h.he} took it everywhere].",
        "[the dearest thing that {h} had|{h.his} greatest treasure] was a {thing}.",
    )
    t.say(
        "<when>, the {thing} was gone.",
        "but <when> {h.he} could not find it.",
        "<when>, {h} lost the {thing} on the way to <goal>.",
        "<when>, a <animal> came and took the {thing} away.",
        "<when>, the wind carried it away.",
    )
    t.say(*MOOD)
    t.pause()
    places = rng.sample(WORDS["spot"], 3)
    t.say(
        "{h.he} looked {p}, but it was not there.",
        "first {h.he} looked {p}. [nothing|no {thing}|there was only a <animal>].",
        p=places[0],
    )
    t.maybe(
        0.7,
        "{h.he} looked {p}, but there was only [a|an old] <animal>.",
        "then {h.he} looked {p}, but [it was not there either|there was nothing].",
        p=places[1],
    )
    t.say(*MEET)
    t.say(*ASK)
    t.say(
        '"I have lost my {thing}," said {h}. "[have you seen it|I have looked everywhere|do you know where it is|please help me]'
        + "[?|]" * 0
        + '."'
        if False
        else '"I have lost my {thing}," said {h}.',
        '"my {thing} is gone," said {h}. "I have looked everywhere."',
        '"have you seen my {thing}?" asked {h}.',
    )
    t.say(
        '"[I have seen something|something was lying|look] {p}," said {f}.',
        '"come, we will look together," said {f}, and they looked {p}.',
        '"do not cry," said {f}. "I know where it is." ^{f.he} took {h} by the hand.',
        p=places[2],
    )
    t.say(
        "and there it was, {p}!",
        "{p} they found the {thing}.",
        "there lay the {thing}, {p}. [it was a little wet, but it was whole|it was not broken|it shone in the sun].",
        p=places[2],
    )
    t.maybe(0.7, *THANKS, a=t.slots["h"], b=t.slots["f"])
    t.close()
    return t.text()


def kindness(rng: random.Random) -> str:
    """Food is shared with a stranger, who gives something back."""
    hero = rng.choice((child, grown))(rng)
    t = Telling(
        rng, h=hero, f=another(rng, hero), food=rng.choice(WORDS["food"]), gift=rng.choice(WORDS["gift"])
    )
    t.open()
    t.say(
        "<when>, {h} had only some {food} left.",
        "{h} was poor and had nothing to eat but some {food}.",
        "<when>, {h} sat down <spot> to eat {h.his} {food}.",
        "{h.his} mother gave {h.him} some {food} for the way.",
    )
    t.pause()
    t.say(*MEET)
    t.say(
        '"I am [so|very] hungry," said {f}. "[please give me something to eat|will you share with me|I have not eaten for <number> days]."',
        '{f} looked [cold and hungry|very tired|thin and sad]. "[please|good {h.the}], give me some {food}," {f.he} said.'
        if False
        else '{f} looked [cold and hungry|very tired|thin and sad]. "Please give me some of your {food}," {f.he} said.',
    )
    t.say(
        '"[of course|gladly|here]," said {h}. "[sit down and eat with me|take half of it|there is enough for two|eat, and be well]."',
        "{h} [did not think long|smiled] and gave {f.him} half of the {food}.",
        "{h} was hungry too, but {h.he} gave {f.him} everything.",
    )
    t.say(
        '{f} ate and was <good_feeling>. "[you are kind|you have a good heart]," {f.he} said. "[take this {gift}|I will give you a {gift}|here is a {gift} for you]."',
        'when {f} had eaten, {f.he} gave {h} a {gift}. "[it will bring you luck|keep it well|it is magic|use it when you need help]," {f.he} said.',
        'then {f} said, "Because you were kind, you may have [a wish|three wishes]." ^{h} wished for [a warm house|<food> for everyone|a garden|a friend].',
    )
    t.pause()
    t.maybe(
        0.7,
        TIME + " {h} came home, and the house was full of [light|<food>|flowers|gold].",
        "and really, from that day on {h} [had luck|was never hungry|always had enough to eat].",
        "when {h} came home and told everyone, [they could not believe it|they were very surprised|they laughed for joy].",
    )
    t.close()
    return t.text()


def three(rng: random.Random) -> str:
    """Three try; the first two fail, the third succeeds."""
    kind, boy = rng.choice((("sons", True), ("daughters", False), ("brothers", True), ("sisters", False)))
    names = rng.sample(WORDS["boy" if boy else "girl"], 3)
    parent = rng.choice(("king", "farmer", "miller", "baker", "fisherman", "merchant", "tailor"))
    task = rng.choice(
        (
            "find the golden bird", "bring water from the magic well", "make the princess laugh", "climb the glass mountain",
            "catch the white horse", "bring back the lost ring", "wake the sleeping giant", "find the apple of life",
            "build a ship that sails on land", "answer the riddle of the old witch", "find the most beautiful flower",
            "drive the wolf away", "bring home the best present", "guard the apple tree at night",
        )
    )  # fmt: skip
    t = Telling(rng, a=names[0], b=names[1], c=names[2], kind=kind, parent=parent, task=task,
                he="he" if boy else "she", him="him" if boy else "her", his="his" if boy else "her",
                helper=animal(rng), one=kind[:-1])  # fmt: skip
    if kind in ("sons", "daughters"):
        t.say(
            "[once upon a time|long ago|once] there was a {parent} who had three {kind}. [they were called|their names were] {a}, {b} and {c}.",
            "a {parent} had three {kind}, {a}, {b} and {c}.",
        )
        t.say(
            '<when>, the {parent} said, "who can {task}? ^whoever does it shall have [my house|half of all I have|a bag of gold|my mill|the whole kingdom]."',
            "<when>, the {parent} [called|sent for] {him} three {kind}."
            if False
            else '<when>, the {parent} called the three {kind} and said, "go out into the world and {task}."',
        )
    else:
        t.say(
            "[once upon a time|long ago|once] there were three {kind}, {a}, {b} and {c}. they lived <home>.",
            "three {kind} lived <home>. [they were called|their names were] {a}, {b} and {c}.",
        )
        t.say(
            "<when>, they wanted to {task}.",
            'one day the king said, "who can {task}? I will give [a bag of gold|half of my kingdom] for it."',
        )
    t.say(
        "{a} was [strong|big and strong|proud], {b} was [clever|lazy|fast], [but|and] {c} was [kind|the youngest|good to everyone]."
    )
    t.pause()
    for name, nth in ((names[0], "first"), (names[1], "second")):
        t.say(
            "the {nth} to go was {n}.",
            "{n} went {nth}." if nth == "first" else "then {n} went.",
            "the {nth} {one}, {n}, [took a sword|put on new shoes|took a bag of bread] and went away.",
            n=name, nth=nth,
        )  # fmt: skip
        t.say(
            'on the way {he} met {helper.intro}. "[give me a little bread|please help me|where are you going]," said {helper}. but {n} [laughed|did not stop|said no|did not listen] and went on.',
            "{he} met {helper.intro} by the road, but {he} [did not stop|had no time|only laughed at {helper.him}].",
            n=name,
        )
        t.say(
            "{he} [lost the way|fell into a ditch|fell asleep|became afraid] and came home [with empty hands|without anything|tired and hungry|wet and cold].",
            "but {he} could not do it[, and came home sad| and gave up|].",
        )
    t.pause()
    t.say(
        "at last {c} [went|set out|tried].",
        "then it was {c}'s turn.",
        '"let me try," said {c}. the others laughed, but {he} went.',
    )
    t.say(
        '{he} met {helper} too. "[good morning|hello]," said {c}. "[are you hungry|can I help you|come and eat with me]."'
        if False
        else "{he} met {helper} too, and {he} [gave {helper.him} half of the bread|helped {helper.him}|stopped and was friendly].",
        "{c} met {helper} on the way, and {he} [shared the bread|spoke kindly|pulled a thorn out of {helper.his} foot].",
    )
    t.say(
        '"because you are kind, I will help you," said {helper}. "[go to <goal>|wait until night|look <spot>|sing a song]."',
        "{helper} [told {him} a secret|showed {him} the way|gave {him} a <thing>].",
    )
    t.say("and so {c} was able to {task}.", "{c} did [what {helper} said|it], and everything went well.")
    t.say(
        "[the {parent}|everyone] was [glad|surprised|full of joy], and {c} [got the gold|was the hero of the village|shared everything with the others].",
        "{c} came home [with a white horse|with a bag of gold|singing], and [nobody laughed any more|everyone cheered|there was a great feast].",
    )
    t.say(
        "<moral>",
        "and {c} lived happily ever after.",
        "{c} never forgot {helper}.",
        "they all lived together in peace.",
    )
    return t.text()


def quarrel(rng: random.Random) -> str:
    """Two friends fall out and make it up."""
    t = Telling(rng, thing=rng.choice(WORDS["thing"]), food=rng.choice(WORDS["food"]), **_pair(rng))
    t.say(
        "{h} and {f} were [best friends|good friends|neighbours]. [every day|often] they <play> together.",
        "[once upon a time there were two friends|there were once two friends|two friends lived <home>], {h.intro} and {f.intro}.",
        "{h.intro} and {f.intro} lived <home>. they [did everything together|shared everything|were always together].",
    )
    t.say(
        "<when>, they found a {thing}. [both wanted it|each of them wanted to have it].",
        "<when>, there was only some {food} left, and both wanted it.",
        "<when>, they could not agree where to go. {h} wanted to go to <goal>, but {f} wanted to go to <goal>.",
        "<when>, {f} broke {h}'s {thing}.",
    )
    t.say(
        '"it is mine!" said {h}. "no, it is mine!" said {f}.'
        if rng.random() < 0.5
        else '"[you are not my friend any more|you always want everything|leave me alone|that is not fair]!" [cried|shouted|said] {h}.',
        "they [shouted at each other|were very angry|argued until it was dark], and {h} [went home alone|ran away|slammed the door].",
    )
    t.pause()
    t.say(
        "<later>, {h} sat [all alone|<spot>]. [it was no fun to play alone|it was very quiet|nobody laughed with {h.him}].",
        "for <number> days they did not speak to each other.",
        "that night {h} could not sleep. {h.he} missed {f}.",
    )
    t.say(
        '"[I was wrong|I was not kind|a friend is more than a {thing}|what have I done]," {h.he} thought.',
        "{h} [was ashamed|was sorry|thought about it all night].",
    )
    t.say(
        '<later>, {h} went to {f} and said, "[I am sorry|please forgive me|I was not nice to you]." "[I am sorry too|I missed you|let us be friends again]," said {f}.',
        'then there was a knock at the door. it was {f}. "[I am sorry|let us be friends again|please do not be angry any more]," {f.he} said.',
        "{h} baked a cake and brought it to {f}. [they looked at each other and laughed|they ate it together|they hugged each other].",
    )
    t.close()
    return t.text()


def fear(rng: random.Random) -> str:
    """A noise in the dark turns out to be small."""
    t = Telling(rng, **_pair(rng))
    t.open()
    t.say(
        "<when>, {h} heard a [strange|loud|soft|terrible|funny] noise <spot>.",
        "<when>, {h} [woke up|could not sleep]. there was [a strange noise|something] <spot>.",
        "{h} was afraid of the dark. <when>, the light went out.",
    )
    t.say(*MOOD)
    t.say(
        '"is it a <beast>?" {h.he} [thought|whispered].',
        '"who is there?" [called|whispered|asked] {h}. [nobody answered|there was no answer|it was quiet].',
        "[it sounded like a <beast>|perhaps it was a <beast>|it scratched and scratched].",
    )
    t.say(
        "but {h} [took a lamp|took a stick|was brave|took a deep breath|put on {h.his} shoes] and went to see.",
        "{h} called {f}, and together they went to look.",
        "slowly, step by step, {h} went closer.",
    )
    t.say(
        "it was only a [little|small|wet|hungry] <animal>[ that had lost its way| that wanted to come in| that was looking for <food>|].",
        "and what did {h.he} see? it was {f}, who [had lost the key|wanted to bring some <food>|was cold].",
        "it was only the wind[, which played with the door| in the trees|].",
    )
    t.say(
        "{h} laughed[ and laughed| out loud|]. {h.he} [was not afraid any more|gave it some <food>|opened the door|made a warm bed for it <spot>].",
        '"[so it was only you|and I was so afraid|you poor thing]!" said {h}.',
    )
    t.close()
    return t.text()


def learning(rng: random.Random) -> str:
    """Someone learns to do something, slowly."""
    t = Telling(rng, skill=rng.choice(WORDS["skill"]), **_pair(rng))
    t.open()
    t.say(
        "{h} could not {skill}.",
        "everyone could {skill}, only {h} could not.",
        '"I want to learn to {skill}," said {h}.',
    )
    t.say(
        "the first time {h.he} [fell down|did everything wrong|was afraid|hurt {h.his} foot|gave up].",
        "{h.he} tried [once|twice|three times], but [it did not work|it went wrong|everybody laughed].",
        '"[you will never learn it|you are too small|you are too slow]," said the others.',
    )
    t.maybe(0.6, *MOOD)
    t.pause()
    t.say(*MEET)
    t.say(
        '"[I will teach you|I can show you how|it is not hard|watch me]," said {f}. "[you must only be patient|try it every day|begin slowly|do not be afraid]."',
        '"nobody is born a master," said {f}. "[try again|come back tomorrow|I also fell down many times]."',
    )
    t.say(
        "[day after day|every morning|every evening|all winter long], {h} [tried|practised|worked hard]. [sometimes it rained|{h.he} was often tired|sometimes {h.he} wanted to stop], but {h.he} did not give up.",
        "so {h} tried again, and again, and again.",
    )
    t.say(
        "and <when>, {h} could {skill} [better than all the others|very well|just like {f}|all alone].",
        'then it happened. "I can {skill}!" cried {h}.',
    )
    t.maybe(0.5, *THANKS, a=t.slots["h"], b=t.slots["f"])
    t.close()
    return t.text()


def trick(rng: random.Random) -> str:
    """Someone sly plays a trick and is caught, or a weak one outwits a strong one."""
    hero = animal(rng)
    t = Telling(
        rng, h=hero, f=another(rng, hero), beast=rng.choice(WORDS["beast"]), food=rng.choice(WORDS["food"])
    )
    if rng.random() < 0.5:
        t.open()
        t.say(
            "<when>, a {beast} [came|stood in the way|jumped out of the bushes|caught {h.him}].",
            "in the [forest|mountains|cave] there lived a {beast}. <when>, it met {h}.",
        )
        t.say(
            '"[I will eat you|now you are mine|I am hungry, and you are small|nobody passes here]!" [said|cried|roared] the {beast}.'
        )
        t.say(
            '{h} was afraid, but {h.he} was clever. "[wait|please wait|do not eat me]," {h.he} said. "[I know where there is much more {food}|there is a bigger one behind the hill|I am only skin and bones|first let me sing a song for you]."',
            '"you are very strong," said {h}. "[but can you jump over the river|but can you carry this stone|but can you make yourself small|but can you catch the moon in the well]?"',
        )
        t.say(
            "the {beast} [was proud and wanted to show it|believed it|was stupid|was curious], and [fell into the water|ran away behind the hill|got stuck in a hole|jumped into the well].",
            "while the {beast} [looked around|thought about it|closed its eyes|went to look], {h} [ran away|ran home|jumped into a hole|flew up into a tree]."
            if hero.the in ("the crow", "the owl", "the sparrow", "the robin", "the raven")
            else "while the {beast} [looked around|thought about it|closed its eyes|went to look], {h} [ran away|ran home|jumped into a hole|hid <spot>].",
        )
        t.say(
            "{h} laughed and went home.",
            "so the small one was stronger than the big one.",
            "the {beast} never came back.",
        )
    else:
        t.say(
            "{f.intro} had [some|a basket of|a lot of] {food}. {h.intro} [saw it|smelled it] and was hungry.",
            "{h.intro} was too lazy to work. {h.he} wanted to have {f}'s {food}.",
        )
        t.say(
            '"[dear friend|good day|my dear], {f}," said {h}. "[your house is on fire|the king wants to see you|you sing so beautifully, sing for me|let me carry that for you]."',
            "{h} waited until {f} was asleep, and then {h.he} took the {food}.",
        )
        t.say(
            "{f} [believed it|ran away|was very proud], and {h} ate [everything|all of the {food}|until {h.he} could not move].",
            "but {f} was not stupid. {f.he} [put stones into the basket|filled the basket with sand|hid and watched].",
        )
        t.say(
            "but {h} had eaten so much that {h.he} [could not run|got stuck in the door|had to lie in bed for <number> days].",
            "when {f} saw it, {f.he} [was angry|laughed|called all the others]. {h} [had to work for a whole week|had to say sorry|was ashamed].",
        )
    t.say(*ENDING)
    return t.text()


def journey(rng: random.Random) -> str:
    """A way to somewhere, whom one meets on it, and home again."""
    t = Telling(rng, goal=rng.choice(WORDS["goal"]), **_pair(rng))
    t.open()
    t.say(
        "<when>, {h} [set out|started|left the house] [to|for] {goal}.",
        '"I will go to {goal}," said {h}[ one day|]. {h.he} took a <thing> and some <food> and went away.',
        '{h.his} [mother|father|grandmother] said, "Take this <gift> to your [aunt|uncle|grandmother] near {goal}."',
    )
    t.say(
        "the way was long, and <weather>.",
        "{h.he} walked [over hills and through valleys|along the river|through the dark forest|for <number> days].",
        "on the way {h.he} saw [<number> <animals>|a <colour> <flower>|a <animal> with a <thing>].",
    )
    t.pause()
    for _ in range(rng.choice((1, 1, 2))):
        t.say(
            'first {h.he} met a <animal>. "[where are you going|may I come with you|what have you got there]?" asked the <animal>.'
            if False
            else '{o} was sitting <spot>. "[where are you going|may I come with you|what have you got there|have you something to eat]?" asked {o}. "[to {goal}|I am going to {goal}|come with me]," said {h}.',
            '{h.he} met {o.intro}. "[take me with you|I am tired of being alone|do you know the way]," said {o}. so they went on together.',
            "{o.intro} [showed {h.him} the way|was sitting by the road and {h} gave {o.him} some <food>|danced on the road, and {h} had to laugh].",
            o=animal(rng),
        )
    t.say(
        "then they came to a [wide river|deep valley|high wall]. there was no bridge."
        if False
        else "then {h.he} came to a wide river. there was no bridge[, but {f.intro} had a boat|, but a <tree> had fallen over it|].",
        "[suddenly|then] it [began to rain|began to snow|grew dark], and {h} [hid under a <tree>|was afraid|lost the way].",
    )
    t.say(
        "but {f} [helped {h.him}|knew the way|had a lamp].",
        "{h} did not give up.",
        "in the distance {h.he} saw a light.",
    )
    t.say(
        "at last {h} came to {goal}. [everything was as beautiful as in a dream|{h.he} sat down and looked and looked|{h.his} [mother|aunt|grandmother|friend] was waiting there].",
        'when {h.he} came to {goal}, {h.he} said, "[how big the world is|it was worth it|here I will stay|now I want to go home again]."',
    )
    t.close()
    return t.text()


def weather(rng: random.Random) -> str:
    """A storm or a hard winter, and how all help each other."""
    t = Telling(rng, **_pair(rng))
    t.open()
    t.say(
        "<when>, there came a great storm. the wind [took the roof away|blew down the old <tree>|howled around the house].",
        "that winter was very cold. [the snow was as high as the windows|the river was frozen|there was nothing to eat].",
        "it rained for <number> days, and the river [rose|came over the fields|grew wider and wider].",
        "that summer it did not rain. [the well was dry|the flowers died|the grass was brown].",
    )
    t.say("everyone was <bad_feeling>.", *MOOD)
    t.say(
        '"[we must help each other|let us all work together|come into my house|I have enough for all of us]," said {h}.',
        '{h} had an idea. "[we will build a wall|we will dig a new well|we can all live in the mill|let us share what we have]," {h.he} said.',
    )
    t.say(
        "{f} brought <food>, [the <trade> brought wood|the <trade> brought blankets], and the children [sang|carried stones|helped too].",
        "all day and all night they worked. even the <animals> [helped|came].",
        "they sat around the fire, ate <food> and told stories.",
    )
    t.say(
        "at last [the sun came out|the storm was over|spring came|the rain stopped], and [everyone was safe|the birds sang again|they all danced]."
    )
    t.close()
    return t.text()


def found(rng: random.Random) -> str:
    """A small creature is found and cared for."""
    hero = rng.choice((child, grown))(rng)
    t = Telling(rng, h=hero, f=animal(rng))
    t.open()
    t.say(
        "<when>, {h} found {f.intro} <spot>. {f.he} was [cold and wet|hurt|very hungry|all alone|too weak to walk].",
        "<when>, {h} heard a soft voice <spot>. it was {f.intro}.",
    )
    t.say(
        '"[you poor thing|do not be afraid|come with me]," said {h}, and took {f.him} home.',
        "{h} put {f.him} into {h.his} coat and carried {f.him} home.",
    )
    t.say(
        "{h.he} gave {f.him} <food> and made a bed [of hay|by the fire|of soft wool].",
        "every day {h} [fed {f.him}|brought {f.him} fresh water|sat beside {f.him} and sang].",
    )
    t.say(
        "<later>, {f} was [well again|strong again|able to run again].",
        "soon {f} [ate <food> out of {h.his} hand|followed {h.him} everywhere|played in the garden].",
    )
    t.say(
        'when spring came, {f} [wanted to go back to the forest|had to go home]. "goodbye, little friend," said {h}. {h.he} was sad and happy [at the same time|at once].',
        "{f} stayed with {h}, and they were never apart again.",
        "<when>, when {h} was in danger, {f} [came and helped {h.him}|called so loudly that everyone came|showed {h.him} the way home].",
    )
    t.say(*ENDING)
    return t.text()


def day(rng: random.Random) -> str:
    """A calm day from morning to night."""
    t = Telling(rng, **_pair(rng))
    t.say(*OPENING)
    t.say(
        "[early in the morning|in the morning|when the sun came up], {h} [woke up|got up|opened the window] and [washed|looked out|put on {h.his} shoes].",
        "every morning {h} got up early and ate <food> with <food>.",
    )
    t.say(
        "then {h.he} <job>[ and <job>|].",
        "{h.he} went to <goal> and bought [some <food>|a <thing>].",
        "after breakfast {h.he} <job>.",
    )
    t.say(
        "at noon {f.intro} came, and they ate <food>.",
        "at noon {h.he} was hungry and ate <food>.",
        "on the way {h.he} met {f}, and they talked about [the weather|old times|the <animals>|the feast].",
    )
    t.say(
        "in the afternoon {h.he} <play>.",
        "in the afternoon {h} [slept a little|sat <spot>|<job>].",
        "<weather>, and {h.he} <play> with {f}.",
    )
    t.say(
        "in the evening {h} [sat by the fire|came home|lit the lamp] and [told a story|ate <food>|read a book|sang a song].",
        "when it was dark, {h} went to bed[ and dreamed of <food>|].",
    )
    t.maybe(0.6, *ENDING)
    return t.text()


def court(rng: random.Random) -> str:
    """A ruler asks for something that a simple person can give."""
    ruler = royal(rng)
    t = Telling(rng, f=ruler, h=another(rng, ruler))
    t.say(
        "[once upon a time there was|there was once|long ago there lived] {f.intro} who lived {f.home}.",
        "{f.intro} lived {f.home}. {f.he} had [gold and silver|a hundred horses|everything], but {f.he} was never [happy|glad].",
    )
    t.say(
        "{f} was [sad|ill|bored] and could not [laugh|sleep|eat].",
        '<when>, {f} said, "whoever can [make me laugh|tell me a new story|bring me the most beautiful thing in the world|find my lost ring|cook a soup that I like] shall have [half of my kingdom|a bag of gold|a house and a garden]."',
    )
    t.say(
        "many people came, [doctors and singers|rich men and clever men|from near and far], but [nobody could do it|nobody could help].",
        "{f} called all the wise men, but they [did not know what to do|only shook their heads].",
    )
    t.say("then {h.intro} came to the castle.", "<when>, {h.intro} knocked at the gate.")
    t.say(
        '"what do you want?" asked the [guard|soldier|cook].',
        '"who are you?" asked {f}.',
        '"[you are only a simple fellow|what can you do that others cannot]?" said {f}.'
        if False
        else '"what can you do that others cannot?" asked {f}.',
    )
    t.say(
        '"I have brought [a simple flower|some <food>|a <thing>|my <thing>|only a song]," said {h}.',
        '"come with me to [the garden|the kitchen|<goal>]," said {h}. "[work a little|eat when you are hungry|look at the children who play there]."',
        "{h} [told a story about a <animal> and a <animal>|sang a song|danced with a <animal>].",
    )
    t.say(
        "{f} began to [laugh|smile|cry for joy]. [for the first time in years {f.he} was happy|everyone in the castle was glad].",
        "{f} was <good_feeling> and [gave {h} what was promised|kept the promise|asked {h} to stay].",
    )
    t.say(
        'but {h} wanted no gold. "[my garden is enough for me|I would rather go home|give it to the poor]," {h.he} said.',
        *ENDING,
    )
    return t.text()


def fable(rng: random.Random) -> str:
    """A very short story with a moral."""
    t = Telling(
        rng, **{"h": (hero := animal(rng)), "f": another(rng, hero), "food": rng.choice(WORDS["food"])}
    )
    t.say(
        "{h.intro} and {f.intro} met <spot>.",
        "<when>, {h.intro} met {f.intro}.",
        "{h.intro} [saw|watched] {f.intro} <spot>.",
    )
    t.say(
        '"I am [faster|stronger|bigger|cleverer|more beautiful] than you," said {h}.',
        '"why do you work all day?" asked {h}. "come and play with me."',
        '"give me your {food}, and I will be your friend," said {h}.',
    )
    t.say(
        '"[perhaps|that may be|we will see]," said {f}. "[but I am patient|but winter will come|but I have good friends|let us run to <goal> and see who is first]."',
        "{f} said nothing and [went on working|smiled|went away].",
    )
    t.say(
        "{h} [laughed|lay down in the sun|fell asleep|talked and talked], [and|but] {f} [went on, step by step|worked and worked|was already there].",
        "<later>, [snow fell|a <beast> came|the river rose], and {h} [was in trouble|had nothing to eat|called for help]. [it was {f} who helped|only {f} came].",
    )
    t.maybe(0.5, "{h} was ashamed.", '"now I know better," said {h}.')
    t.say("<moral>")
    return t.text()


TALES: dict[Callable[[random.Random], str], int] = {
    wish: 4, lost: 4, kindness: 4, three: 3, quarrel: 3, fear: 3, learning: 3, trick: 3, journey: 4, weather: 2,
    found: 3, day: 3, court: 2, fable: 3,
}  # fmt: skip


def tale(rng: random.Random) -> str:
    """One story of any structure."""
    return rng.choices(list(TALES), list(TALES.values()))[0](rng)

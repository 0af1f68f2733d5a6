"""The words of the small world, by the name that a template calls them with: `<place>`, `<food>`, ..."""

WORDS: dict[str, list[str]] = {}


def _define(name: str, words: str) -> None:
    WORDS[name] = [" ".join(word.split()) for word in words.split(",") if word.strip()]


_define(
    "girl",
    """Anna, Mary, Lily, Rosa, Emma, Clara, Nora, Lucy, Ella, Mia, Sara, Jane, Alice, Greta, Hanna, Ida, Julia,
    Kate, Lena, Maya, Nina, Olga, Paula, Ruth, Sofia, Tina, Vera, Wanda, Zoe, Amy, Bella, Daisy, Eva, Flora,
    Grace, Helen, Iris, June, Martha, Molly, Pearl, Ruby, Sue, Tilda, Violet, Wendy, Betty, Dora, Elsa""",
)
_define(
    "boy",
    """Tom, Ben, Jack, Peter, Hans, Max, Sam, Paul, Leo, Finn, Oscar, Otto, Karl, Emil, Noah, Adam, Albert, Anton,
    Bob, Carl, David, Erik, Felix, Frank, Fred, George, Henry, Hugo, Ian, Jacob, James, Jim, John, Jonas, Kurt,
    Lars, Luke, Mark, Martin, Nick, Nils, Oliver, Robert, Simon, Theo, Tim, Victor, Walter, Will, William""",
)
_define(
    "pet_name",
    """Pip, Bubbles, Button, Patch, Snow, Spot, Rusty, Pepper, Biscuit, Honey, Ginger, Shadow, Star, Coco, Dot,
    Fluff, Bramble, Nutmeg, Poppy, Rolo, Sunny, Tiny, Willow, Ziggy, Barley, Clover, Hazel, Moss, Olive, Pebble""",
)
_define(
    "trade",
    """baker, miller, farmer, fisherman, shepherd, tailor, gardener, painter, teacher, doctor, blacksmith, carpenter,
    cook, hunter, sailor, shoemaker, weaver, woodcutter, singer, soldier, merchant, potter, clockmaker, musician,
    beekeeper, postman, cobbler, candle maker, bell ringer, ferryman""",
)
_define("royal_man", "king, prince, knight, young prince, old king")
_define("royal_woman", "queen, princess, young princess, old queen")
_define(
    "animal",
    """fox, bear, rabbit, mouse, owl, wolf, frog, hedgehog, squirrel, duck, goose, cat, dog, crow, deer, pig, goat,
    sheep, hen, horse, donkey, cow, turtle, badger, beaver, hare, lion, elephant, monkey, sparrow, swan, otter, mole,
    robin, snail, bee, ant, spider, kitten, puppy, lamb, pony, duckling, fish, raven, stork, toad""",
)
_define(
    "animals",
    """foxes, bears, rabbits, mice, owls, wolves, frogs, hedgehogs, squirrels, ducks, geese, cats, dogs, crows, deer,
    pigs, goats, sheep, hens, horses, cows, turtles, sparrows, swans, bees, ants, snails, birds, butterflies""",
)
_define("beast", "wolf, bear, giant, dragon, troll, big dog, angry bull, wild boar, lion, witch")
_define(
    "person_adj",
    """kind, poor, rich, clever, brave, quiet, happy, sad, lonely, friendly, gentle, honest, lazy, proud, shy, wise,
    strong, cheerful, curious, patient, busy, hungry, tired, careful, good, funny, greedy, polite""",
)
_define("age_adj", "old, young, little, very old, small, tall, big")
_define(
    "animal_adj",
    """little, small, big, old, young, brown, white, black, grey, clever, shy, brave, lazy, hungry, curious, friendly,
    lonely, happy, sly, funny, fat, thin, quick, slow, soft, gentle, noisy, quiet, tiny, proud""",
)
_define(
    "home",
    """in a small house by the river, in a village near the sea, at the edge of the forest, on a green hill,
    in a little town, on a farm, in a tiny house under a big tree, in a valley between two mountains,
    in a house with a red roof, near an old mill, beside a quiet lake, in a small village, in a far country,
    on an island in the sea, at the end of a long road, in a cottage in the woods, in a town by the sea,
    in a white house on the hill, near a deep forest, in a castle by the lake, behind the church,
    in a narrow street, next to the market, in a wooden house, at the foot of a mountain""",
)
_define(
    "burrow",
    """in a hollow tree, under a bush, in a hole under the old oak, in a nest of dry leaves, near the pond,
    at the edge of the forest, in a barn, on a farm, by the river, in the tall grass, behind the mill,
    in a garden full of flowers, in a cave on the hill, beside a quiet lake, under the roots of a tree,
    in a warm stable, in the middle of the woods, under the bridge""",
)
_define(
    "palace",
    "in a castle on a hill, in a great castle, in a castle by the sea, in a golden palace, in a white palace",
)
_define(
    "goal",
    """the forest, the river, the market, the village, the lake, the hill, the mill, the castle, the sea, the bridge,
    the garden, the old tree, the town, the field, the mountain, the church, the harbour, the well, the meadow,
    the farm, the shop, the school, the pond, the cave, the island""",
)
_define(
    "spot",
    """under the bed, behind the door, in the garden, by the well, near the river, under the big tree, on the roof,
    in the barn, behind the stove, in the kitchen, beside the road, under the bridge, in the tall grass, on the hill,
    in the old boat, at the market, in a basket, in the hay, by the gate, between two stones, in the snow,
    on the stairs, in the nest, under a leaf, at the bottom of the pond, in the cupboard, in the woods""",
)
_define(
    "thing",
    """red ball, silver ring, golden key, wooden box, blue hat, warm coat, small bell, old book, little boat, green
    scarf, pocket watch, glass bead, doll, kite, drum, lamp, cup, basket, blanket, mirror, flute, map, pair of shoes,
    music box, wooden horse, letter, lucky coin, feather, paper crown, umbrella, white shell, gold button, toy boat,
    red apple, lantern, ribbon, spoon, violin, pillow, picture""",
)
_define(
    "gift",
    """cake, loaf of bread, basket of apples, jar of honey, new hat, warm scarf, bunch of flowers, silver coin,
    golden ring, little bell, pair of new shoes, wooden flute, book of stories, small lamp, red kite, bag of nuts,
    soft blanket, cup of hot milk, bowl of soup, pot of jam, blue ribbon, bag of gold, magic stone, white horse""",
)
_define(
    "food",
    """bread, soup, cheese, apples, honey, cake, milk, fish, nuts, berries, porridge, pears, eggs, butter, carrots,
    jam, pancakes, potatoes, apple pie, cherries, plums, beans, warm bread, hot soup, sweet cake, fresh bread""",
)
_define("colour", "red, blue, green, yellow, white, black, brown, golden, silver, pink, grey, orange, purple")
_define(
    "wish",
    """see the sea, learn to swim, find a friend, have a garden, fly like a bird, play the flute, bake the best bread
    in the village, see the king, climb the highest mountain, build a boat, sing in front of people, read a book,
    find a treasure, see the snow, catch a big fish, have a dog, touch the moon, dance at the feast, help other
    people, grow a big tree, have a warm bed, travel around the world, paint a picture of the sea, learn to dance,
    see the big town, make a kite, ride a horse, know the stars, visit the old castle, hear a good story""",
)
_define(
    "skill",
    """swim, sing, dance, read, write, bake bread, ride a horse, play the flute, climb trees, catch fish, paint, sew,
    play the drum, whistle, cook soup, row a boat, make shoes, count to a hundred, skate on the ice, plant seeds,
    tell stories, build a house, milk the cow, fly a kite, make a fire, jump over the ditch""",
)
_define(
    "job",
    """worked in the garden, fed the hens, swept the floor, carried water from the well, baked bread, cut wood,
    mended nets, milked the cow, washed the clothes, painted the fence, picked apples, made soup, cleaned the
    windows, looked after the sheep, went to the market, sewed shirts, read old books, planted seeds, caught fish,
    gathered berries, fixed the roof, watered the flowers""",
)
_define(
    "play",
    """played by the river, climbed trees, looked for nuts, sang songs, ran in the meadow, picked flowers, played hide
    and seek, slept in the sun, told stories, counted the stars, swam in the pond, danced in the rain, made a boat
    of leaves, threw stones into the water, played with a ball, built a house of sticks, rolled down the hill,
    watched the clouds, chased butterflies, drew pictures in the sand""",
)
_define(
    "weather",
    """the sun was shining, it was raining, the wind was blowing, snow was falling, the sky was blue, it was very cold,
    it was warm and bright, the fog was thick, the moon was full, the sky was grey, the birds were singing,
    the leaves were falling, the first flowers were out, it was a hot day, the stars were bright""",
)
_define(
    "when",
    """one day, one morning, one evening, one cold night, one summer day, one winter morning, one spring day,
    one autumn evening, one sunny morning, one rainy day, one fine day, one night, one afternoon, early one morning,
    late one evening""",
)
_define(
    "later",
    """the next day, the next morning, that night, in the evening, after a while, soon, a little later,
    after three days, at last, then, after that, when the sun went down, before long, at noon, in the afternoon""",
)
_define("season", "spring, summer, autumn, winter")
_define(
    "feeling",
    """happy, sad, afraid, tired, hungry, glad, angry, lonely, proud, cold, surprised, worried, thirsty, sleepy, cheerful""",
)
_define("good_feeling", "happy, glad, proud, cheerful, very happy, so happy, warm and happy, full of joy")
_define(
    "bad_feeling", "sad, afraid, tired, lonely, worried, very sad, unhappy, cold and hungry, ashamed, angry"
)
_define("flower", "rose, daisy, sunflower, tulip, violet, lily, snowdrop, poppy, bluebell")
_define("tree", "oak, apple tree, pine tree, birch, willow, pear tree, cherry tree, fir tree, old tree")
_define("number", "two, three, four, five, six, seven, eight, nine, ten, twelve, a hundred")
_define("day", "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")

WORDS["moral"] = [
    "A kind word costs nothing.",
    "A good friend is worth more than gold.",
    "Help comes to those who help.",
    "Do not laugh at small people.",
    "It is good to share.",
    "Those who work hard sleep well.",
    "Be careful whom you trust.",
    "It is never too late to learn.",
    "Even a small light is bright in the dark.",
    "Two can do what one cannot.",
    "Honest hands are rich hands.",
    "Think before you speak.",
    "Haste makes waste.",
    "Pride comes before a fall.",
    "The slow and patient win in the end.",
    "Courage does not mean that you have no fear.",
    "What you give comes back to you.",
    "He who wants too much loses all.",
    "Home is the best place.",
    "Old people know many things.",
]

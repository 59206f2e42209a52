"""What a model is shown of requests and answers: written for this purpose, plain and of all kinds.

Verbs stand in their first form among the words, as people give them, and so they do in the
sentences, behind "to" and the like.
"""

Examples = tuple[tuple[str, str], ...]
"""What is asked, and what answers it."""

WORDS: Examples = (
    ("dog, park, run", "The dog ran off its lead and began to run across the park."),
    ("letter, table, write", "She sat down at the kitchen table to write a long letter."),
    (
        "boat, lake, row, sun",
        "As the sun went down, two boys began to row their boat over the lake.",
    ),
    ("chair, paint, wall", "After lunch we moved the chair and began to paint the wall."),
    ("girl, laugh, rain, wet", "The girl was wet from the rain, but she could only laugh."),
    ("clean, kitchen, pan", "They had to clean the pan that you left in the kitchen."),
    ("baby, hold, mother", "The mother asked her son to hold the baby while she was out."),
    ("bread, knife", "He cut the bread with a sharp knife."),
    ("car, drive, road, snow", "I had to drive my car slowly, because the road was under snow."),
    ("book, class, teacher", "The teacher opened a book and read its first page to the class."),
)
WORDS_UNSPACED: Examples = (
    ("公园、狗、跑", "小狗挣脱了绳子，在公园里跑了起来。"),
    ("写、信、桌子", "她坐在桌子前，给母亲写了一封长长的信。"),
    ("船、湖、太阳", "太阳下山的时候，两个男孩划着船回到了湖边。"),
    ("墙、椅子", "吃过午饭，我们搬开椅子，开始刷墙。"),
    ("笑、女孩、雨", "女孩被雨淋湿了，却一直在笑。"),
    ("厨房、锅、洗", "他们还得把你留在厨房里的锅洗干净。"),
    ("抱、孩子、母亲", "母亲出门的时候，让哥哥抱着孩子。"),
    ("刀、面包", "他用一把锋利的刀切开了面包。"),
    ("车、路、雪", "路上积满了雪，我只好慢慢地开车。"),
    ("老师、书、学生", "老师打开书，给学生们读了第一页。"),
)
FILLED: Examples = (
    ("The ___ ran across the ___.", "The dog ran across the yard."),
    ("She ___ a letter to her ___.", "She wrote a letter to her sister."),
    ("___ was late, so we ___.", "The train was late, so we walked home."),
    ("He opened the ___ and ___ inside.", "He opened the old box and looked inside."),
    ("It rained ___, and the ___ was wet.", "It rained all night, and the grass was wet."),
    ("My brother ___ because he was ___.", "My brother went to bed early because he was tired."),
)
FILLED_UNSPACED: Examples = (
    ("___跑过了___。", "小狗跑过了院子。"),
    ("她给___写了___。", "她给姐姐写了一封长信。"),
    ("___晚点了，我们只好___。", "火车晚点了，我们只好走回家。"),
    ("他打开___，往里面___。", "他打开旧箱子，往里面看了看。"),
    ("雨下了___，___都湿了。", "雨下了一整夜，草地都湿了。"),
    ("弟弟___，因为他___。", "弟弟很早就睡了，因为他太累了。"),
)

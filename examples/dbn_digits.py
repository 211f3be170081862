"""A deep belief network on the bundled digits: greedy pre-training, then fine-tuning with two kinds of heads."""

from dlcore.data import load_digits_split
from dlcore.models import DBN

train, test = load_digits_split()

for output in ("softmax", "svm"):
    dbn = DBN([64, 256, 256], classes=10, output=output, seed=1)
    dbn.pretrain(train.x, epochs=30, batch_size=20, lr=0.1)
    dbn.fit(train.x, train.y, epochs=40, lr=3e-3)
    error = 1 - dbn.score(test.x, test.y)
    print(f"{output:8} head: {100 * error:.2f} % of {len(test)} held-out digits are misread")

dbn.save("digits.dlcore")  # dlcore.load gives it back; `dlcore sample digits.dlcore --out digits.png` draws from it

"""python examples/01_neuron.py: one logistic neuron, its three steps backward, and its training.

The lecture's smallest network: z = w1 x1 + w2 x2 + b, a = g(z), L(a, y). First with one example and
every number printed, then with m examples and the mean J of their losses, which is made small by
gradient descent: the neuron learns to tell two kinds of Iris by their sepals.
"""

from collections.abc import Callable

import numpy as np
from common import BLUE, RED, Value, parser, save, three_ways
from matplotlib.figure import Figure
from matplotlib.patches import Circle

import autograd_mini as ag
from autograd_mini import data

options = parser(__doc__).parse_args()


def g(z: Value) -> Value:
    """Return the sigmoid of z."""
    return 1 / (1 + np.exp(-z))


def loss(a: Value, y: Value) -> Value:
    """Return L(a, y), on arrays and on Tensors."""
    return -(y * np.log(a) + (1 - y) * np.log(1 - a))


def difference(f: Callable[[float], float], x: float, h: float = 1e-5) -> float:
    """Return the derivative of f at x from two values of f."""
    return (f(x + h) - f(x - h)) / (2 * h)


# ---- one example ---------------------------------------------------------------------------------

x1, x2, y = 1.5, -2.0, 1.0
w1, w2, b = neuron = 0.8, 0.5, -0.6

z = w1 * x1 + w2 * x2 + b
a = g(z)
L = loss(a, y)
print(
    f"One example: x1 = {x1}, x2 = {x2}, y = {y:.0f}; the neuron: w1 = {w1}, w2 = {w2}, b = {b}\n"
    "\nforward, left to right\n"
    f"   z = w1 x1 + w2 x2 + b                = {z:9.6f}\n"
    f"   a = g(z) = 1 / (1 + e^-z)            = {a:9.6f}\n"
    f"   L = -(y log a + (1-y) log(1-a))      = {L:9.6f}\n"
)

# backward, by hand: each step is the one before times one local derivative
dL_da = -y / a + (1 - y) / (1 - a)  # step 1
dL_dz = dL_da * a * (1 - a)  # step 2: da/dz = a (1 - a), which makes a - y
dL_dw1 = dL_dz * x1  # step 3: dz/dw1 = x1, dz/dw2 = x2, dz/db = 1
dL_dw2 = dL_dz * x2
dL_db = dL_dz
by_hand = [dL_da, dL_dz, dL_dw1, dL_dw2, dL_db]

# by autodiff: the same forward lines, on Tensors
Tw1, Tw2, Tb = (ag.Tensor(parameter, requires_grad=True) for parameter in (w1, w2, b))
Tz = Tw1 * x1 + Tw2 * x2 + Tb
Ta = ag.sigmoid(Tz)
TL = loss(Ta, y)
autodiff = ag.gradients(TL, [Ta, Tz, Tw1, Tw2, Tb])

# numerically: move one number a little, and look at L
numerical = [
    difference(lambda a: loss(a, y), a),
    difference(lambda z: loss(g(z), y), z),
    difference(lambda w1: loss(g(w1 * x1 + w2 * x2 + b), y), w1),
    difference(lambda w2: loss(g(w1 * x1 + w2 * x2 + b), y), w2),
    difference(lambda b: loss(g(w1 * x1 + w2 * x2 + b), y), b),
]

steps = [
    "1. dL/da  = -y/a + (1-y)/(1-a)",
    "2. dL/dz  = dL/da a(1-a) = a - y",
    "3. dL/dw1 = dL/dz x1 = (a-y) x1",
    "   dL/dw2 = dL/dz x2 = (a-y) x2",
    "   dL/db  = dL/dz    =  a-y",
]
print(f"{'backward, right to left':<36}{'by hand':>12}{'autodiff':>12}{'numerical':>12}")
for line, *three in zip(steps, by_hand, autodiff, numerical, strict=True):
    print(f"   {line:<33}" + "".join(f"{float(number):12.6f}" for number in three))

alpha = 0.1
after = loss(g((w1 - alpha * dL_dw1) * x1 + (w2 - alpha * dL_dw2) * x2 + b - alpha * dL_db), y)
print(f"\nOne update at rate {alpha}, w1 := w1 - {alpha} dL/dw1 ...: L falls to {after:.6f}")


# ---- m examples ----------------------------------------------------------------------------------

measured, kinds = data.iris()
X = measured[:100, :2]  # two kinds, 50 flowers each: length and width of the sepals, in cm
Y = 1.0 * (kinds[:100] == 1)  # 0: setosa, 1: versicolor
m = len(Y)
mean = X.mean(axis=0)
X1, X2 = (X - mean).T  # measured from the mean flower, so that z = 0 is where the flowers are


def cost(w1: Value, w2: Value, b: Value) -> Value:
    """Return J, the mean of the losses, on numbers and on Tensors."""
    A = g(w1 * X1 + w2 * X2 + b)
    return np.sum(loss(A, Y)) / m


def slopes(w1: float, w2: float, b: float) -> tuple[float, float, float]:
    """Return the derivatives of J by hand: each is the mean of those of the examples."""
    dZ = g(w1 * X1 + w2 * X2 + b) - Y
    return np.mean(dZ * X1), np.mean(dZ * X2), np.mean(dZ)


print(f"\n\nNow {m} examples, Iris setosa (y = 0) and versicolor (y = 1), and J = (1/m) sum L")
print(f"at the same w1, w2, b: J = {cost(w1, w2, b):.6f}\n")
names = "dJ/dw1", "dJ/dw2", "dJ/db"
autodiff = ag.gradients(cost(Tw1, Tw2, Tb), [Tw1, Tw2, Tb])
numerical = [
    difference(lambda w1: cost(w1, w2, b), w1),
    difference(lambda w2: cost(w1, w2, b), w2),
    difference(lambda b: cost(w1, w2, b), b),
]
three_ways(
    dict(zip(names, slopes(w1, w2, b), strict=True)),
    dict(zip(names, autodiff, strict=True)),
    dict(zip(names, numerical, strict=True)),
)

# gradient descent
alpha = 0.5
w1 = w2 = b = 0.0  # a single neuron may begin at zero: there is no other to differ from
costs: list[float] = []
separated: int | None = None
print(f"\ngradient descent at rate {alpha}, from zero\n")
print("  step        J       w1       w2        b   right")
for step in range(201 if options.short else 2001):
    J = cost(w1, w2, b)
    costs.append(J)
    right = np.sum((w1 * X1 + w2 * X2 + b > 0) == (Y == 1))
    if right == m and separated is None:
        separated = step
    if step in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000):
        print(f"{step:6} {J:8.4f} {w1:8.3f} {w2:8.3f} {b:8.3f}   {right:3} of {m}")
    dJ_dw1, dJ_dw2, dJ_db = slopes(w1, w2, b)
    w1, w2, b = w1 - alpha * dJ_dw1, w2 - alpha * dJ_dw2, b - alpha * dJ_db
print(
    "\nA straight line separates the two kinds. So longer weights are always better, and J goes\n"
    "on falling for ever, ever more slowly, though no flower is left to be put right."
)

# ---- the picture ---------------------------------------------------------------------------------

figure = Figure(figsize=(10, 8), layout="constrained")
parts = figure.subplot_mosaic([["graph", "graph"], ["flowers", "cost"]], height_ratios=[1, 1.25])

# the graph, circle by circle; each arrow back has its local derivative as a factor
graph = parts["graph"]
graph.set(xlim=(-1.1, 12.6), ylim=(-1, 4.2), aspect="equal")
graph.axis("off")
graph.set_title("one example: forward in blue, backward in red, with the factor of each step")
# name: where it is, its value, the derivative of L by it
circles: dict[str, tuple[tuple[float, float], float, float]] = {
    "w_1": ((0, 3.5), neuron[0], dL_dw1),
    "w_2": ((0, 1.75), neuron[1], dL_dw2),
    "b": ((0, 0), neuron[2], dL_db),
    "z": ((4, 1.75), z, dL_dz),
    "a": ((7.6, 1.75), a, dL_da),
    "L": ((11.6, 1.75), L, 1),
}
arrows = [  # from, to, the factor on the way back and where it is written
    ("w_1", "z", f"$\\times\\; x_1$ = {x1}", (2.6, 3.05)),
    ("w_2", "z", f"$\\times\\; x_2$ = {x2}", (1.9, 2.12)),
    ("b", "z", "$\\times\\; 1$", (2.6, 0.45)),
    ("z", "a", f"$\\times\\; a(1-a)$\n= {a * (1 - a):.4f}", (5.8, 2.3)),
    ("a", "L", f"$\\times\\; -y/a + (1-y)/(1-a)$\n= {dL_da:.4f}", (9.6, 2.3)),
]
for start, end, factor, place in arrows:
    tail, tip = np.array(circles[start][0]), np.array(circles[end][0])
    along = (tip - tail) / np.hypot(*(tip - tail))
    aside = 0.08 * np.array([-along[1], along[0]])
    tail, tip = tail + 0.65 * along, tip - 0.65 * along
    for color, begin, to in (BLUE, tail + aside, tip + aside), (RED, tip - aside, tail - aside):
        graph.annotate("", to, begin, arrowprops={"arrowstyle": "-|>", "color": color})
    graph.text(*place, factor, color=RED, ha="center", va="center", fontsize=9)
for name, (centre, value, slope) in circles.items():
    graph.add_patch(Circle(centre, 0.58, facecolor="white", edgecolor="black"))
    graph.text(*centre, f"${name}$\n{value:.4g}", ha="center", va="center")
    below = (centre[0], centre[1] - 0.66)
    graph.text(*below, f"$dL/d{name}$ = {slope:.4g}", color=RED, ha="center", va="top", fontsize=9)

# the flowers, and the line z = 0: the neuron says versicolor where z > 0
flowers = parts["flowers"]
for kind, color, marker in (0, BLUE, "o"), (1, RED, "^"):
    of_kind = X[kinds[:100] == kind]
    flowers.scatter(of_kind[:, 0], of_kind[:, 1], s=28, c=color, marker=marker)
lengths = np.array([4, 7.3])
widths = mean[1] - (w1 * (lengths - mean[0]) + b) / w2
flowers.plot(lengths, widths, color="black")
flowers.fill_between(lengths, widths, 9, color=BLUE, alpha=0.08, linewidth=0)
flowers.fill_between(lengths, 0, widths, color=RED, alpha=0.08, linewidth=0)
flowers.text(4.1, 4.3, "Iris setosa\ny = 0", color=BLUE)
flowers.text(7.2, 2.05, "Iris versicolor\ny = 1", color=RED, ha="right")
flowers.text(6.7, 4.3, "z = 0")
flowers.set(xlabel="length of the sepal in cm", ylabel="width of the sepal in cm")
flowers.set(title="the line that the neuron found", xlim=(4, 7.3), ylim=(1.8, 4.6))

curve = parts["cost"]
assert separated is not None
curve.loglog(range(1, len(costs)), costs[1:], color=BLUE)
curve.plot(separated, costs[separated], "o", color=BLUE)
note = f"step {separated}: all {m} are right"
curve.annotate(note, (separated, costs[separated]), (8, 4), textcoords="offset points")
curve.set(title="gradient descent", xlabel="step", ylabel="cost J")
curve.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"])
curve.minorticks_off()
curve.grid()
save(figure, "01_neuron", options.out)

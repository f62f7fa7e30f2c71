// The network of examples/model.py in C++, with its six gradients derived by hand.
//
// g++ -std=c++17 -O2 examples/one_hidden_layer.cpp -o one_hidden_layer
// ./one_hidden_layer gradients.csv
// autograd-mini check examples/model.py gradients.csv

#include <cmath>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

struct Matrix {
    int rows, columns;
    std::vector<double> numbers;  // row by row

    Matrix(int rows, int columns, std::vector<double> numbers)
        : rows(rows), columns(columns), numbers(std::move(numbers)) {}
    Matrix(int rows, int columns) : Matrix(rows, columns, std::vector<double>(rows * columns)) {}
    double& operator()(int i, int j) { return numbers[i * columns + j]; }
    double operator()(int i, int j) const { return numbers[i * columns + j]; }
};

// A matrix whose elements are computed one by one.
Matrix make(int rows, int columns, const std::function<double(int, int)>& element) {
    Matrix result(rows, columns);
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j) result(i, j) = element(i, j);
    return result;
}

Matrix product(const Matrix& A, const Matrix& B) {
    return make(A.rows, B.columns, [&](int i, int j) {
        double sum = 0;
        for (int k = 0; k < A.columns; ++k) sum += A(i, k) * B(k, j);
        return sum;
    });
}

Matrix transposed(const Matrix& A) {
    return make(A.columns, A.rows, [&](int i, int j) { return A(j, i); });
}

// The mean over the examples, which stand in columns.
Matrix mean(const Matrix& A) {
    return make(A.rows, 1, [&](int i, int) {
        double sum = 0;
        for (int j = 0; j < A.columns; ++j) sum += A(i, j);
        return sum / A.columns;
    });
}

Matrix divided(const Matrix& A, double by) {
    return make(A.rows, A.columns, [&](int i, int j) { return A(i, j) / by; });
}

// One line of CSV: the name, the shape, and the numbers row by row.
void write(std::ostream& out, const std::string& name, const Matrix& A) {
    out << name << ',' << A.rows << 'x' << A.columns;
    for (double x : A.numbers) out << ',' << x;
    out << '\n';
}

int main(int count, char** arguments) {
    const int m = 5;
    const Matrix X(3, m, {0.5, -1.2, 0.3, 1.7, -0.4,
                          1.1, 0.4, -0.9, 0.2, -1.5,
                          -0.7, 0.8, 1.3, -0.6, 0.1});
    const Matrix Y(1, m, {1, 0, 1, 1, 0});
    const Matrix W1(4, 3, {0.9, -0.4, 0.6,
                           -0.3, 1.2, 0.5,
                           0.7, 0.2, -1.1,
                           -0.8, 0.1, 0.4});
    const Matrix b1(4, 1, {0.3, -0.2, 0.6, -0.5});
    const Matrix W2(1, 4, {1.3, -0.7, 0.4, 0.9});
    const Matrix b2(1, 1, {0.2});

    // forward
    const Matrix W1X = product(W1, X);
    const Matrix Z1 = make(4, m, [&](int i, int j) { return W1X(i, j) + b1(i, 0); });
    const Matrix A1 = make(4, m, [&](int i, int j) { return std::tanh(Z1(i, j)); });
    const Matrix W2A1 = product(W2, A1);
    const Matrix Z2 = make(1, m, [&](int i, int j) { return W2A1(i, j) + b2(i, 0); });
    const Matrix A2 = make(1, m, [&](int i, int j) { return 1 / (1 + std::exp(-Z2(i, j))); });

    // backward: dZ is m times the derivative of J, as in the lecture
    const Matrix dZ2 = make(1, m, [&](int i, int j) { return A2(i, j) - Y(i, j); });
    const Matrix dW2 = divided(product(dZ2, transposed(A1)), m);
    const Matrix db2 = mean(dZ2);
    const Matrix dA1 = product(transposed(W2), dZ2);
    const Matrix dZ1 = make(4, m, [&](int i, int j) {
        return dA1(i, j) * (1 - A1(i, j) * A1(i, j));
    });
    const Matrix dW1 = divided(product(dZ1, transposed(X)), m);
    const Matrix db1 = mean(dZ1);

    std::ofstream out(count > 1 ? arguments[1] : "gradients.csv");
    out << std::setprecision(17);  // all the digits that a double has
    write(out, "Z1", Z1);
    write(out, "A1", A1);
    write(out, "Z2", Z2);
    write(out, "A2", A2);
    write(out, "dZ2", dZ2);
    write(out, "dW2", dW2);
    write(out, "db2", db2);
    write(out, "dZ1", dZ1);
    write(out, "dW1", dW1);
    write(out, "db1", db1);
    out.close();
    if (!out) {
        std::cerr << "the file could not be written\n";
        return 1;
    }
}
